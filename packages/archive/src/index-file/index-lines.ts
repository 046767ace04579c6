import { comparePaths } from '../path-order.ts';
import type { EncodedEntry } from './entry-lines.ts';
import type { IndexHeader } from './format.ts';

/** So many offsets stand on one line. */
const OFFSETS_A_LINE = 10_000;
/** What is given at a time, in characters. */
const PIECE = 64 * 1024;

export interface IndexContent {
  header: IndexHeader;
  /** For each archive of the header: where its members begin, before encryption. */
  members: readonly (readonly number[])[];
  /** Sorted as `comparePaths` has it, each path once. */
  entries: AsyncIterable<EncodedEntry>;
}

/** An index as text, not yet compressed, in pieces of some 64 KiB. Throws TypeError for entries out of order. */
export async function* indexLines({ header, members, entries }: IndexContent): AsyncGenerator<string> {
  yield `${JSON.stringify(header)}\n`;
  for (const [archive, offsets] of members.entries()) {
    for (let from = 0; from < offsets.length; from += OFFSETS_A_LINE) {
      yield `${JSON.stringify({ archive, members: offsets.slice(from, from + OFFSETS_A_LINE) })}\n`;
    }
  }
  let piece = '';
  let before: Buffer | null = null;
  let count = 0;
  for await (const entry of entries) {
    if (before !== null && comparePaths(before, entry.path) >= 0) {
      throw new TypeError(`The index's entries are not sorted at ${JSON.stringify(entry.path.toString())}.`);
    }
    before = entry.path;
    count += 1;
    piece += `${entry.line}\n`;
    if (piece.length >= PIECE) {
      yield piece;
      piece = '';
    }
  }
  yield `${piece}${JSON.stringify({ entries: count })}\n`;
}
