import { assertSorted, type EncodedRun } from './encoded-run.ts';
import type { IndexHeader } from './format.ts';

/** So many offsets stand on one line. */
const OFFSETS_A_LINE = 10_000;
/** What is given at a time, in bytes. */
const PIECE = 64 * 1024;

export interface IndexContent {
  header: IndexHeader;
  /** For each archive of the header: where its members begin, before encryption. */
  members: readonly (readonly number[])[];
  /** Sorted as `comparePaths` has it, each path once. */
  runs: AsyncIterable<EncodedRun>;
}

/** An index as text, not yet compressed, in pieces of some 64 KiB. Throws TypeError for entries out of order. */
export async function* indexLines({ header, members, runs }: IndexContent): AsyncGenerator<Buffer> {
  yield Buffer.from(`${JSON.stringify(header)}\n`);
  for (const [archive, offsets] of members.entries()) {
    for (let from = 0; from < offsets.length; from += OFFSETS_A_LINE) {
      const line = JSON.stringify({ archive, members: offsets.slice(from, from + OFFSETS_A_LINE) });
      yield Buffer.from(`${line}\n`);
    }
  }
  let pieces: Buffer[] = [];
  let bytes = 0;
  let before: Buffer | null = null;
  let count = 0;
  for await (const run of runs) {
    if (before !== null) assertSorted(before, run.first);
    before = run.last;
    count += run.entries;
    pieces.push(run.text);
    bytes += run.text.length;
    if (bytes >= PIECE) {
      yield Buffer.concat(pieces);
      pieces = [];
      bytes = 0;
    }
  }
  yield Buffer.concat([...pieces, Buffer.from(`${JSON.stringify({ entries: count })}\n`)]);
}
