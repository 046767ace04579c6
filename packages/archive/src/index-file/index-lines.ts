import { type IndexHeader, type IndexEntry, encodeEntry } from './format.ts';

/** So many offsets stand on one line. */
const OFFSETS_A_LINE = 10_000;

export interface IndexContent {
  header: IndexHeader;
  /** Sorted by the bytes of the path, each path once. */
  entries: AsyncIterable<IndexEntry>;
  /** After the last entry: the stored offsets of each archive's members, for every archive of the header. */
  members(): readonly (readonly number[])[];
}

/** An index as text, not yet compressed, in pieces of some 64 KiB. Throws TypeError for entries out of order. */
export async function* indexLines({ header, entries, members }: IndexContent): AsyncGenerator<string> {
  let piece = `${JSON.stringify(header)}\n`;
  let before: Buffer | null = null;
  let count = 0;
  for await (const entry of entries) {
    if (before !== null && Buffer.compare(before, entry.path) >= 0) {
      throw new TypeError(`The index's entries are not sorted at ${JSON.stringify(entry.path.toString())}.`);
    }
    before = entry.path;
    count += 1;
    piece += encodeEntry(entry);
    if (piece.length >= 64 * 1024) {
      yield piece;
      piece = '';
    }
  }
  for (const [archive, offsets] of members().entries()) {
    for (let from = 0; from < offsets.length; from += OFFSETS_A_LINE) {
      piece += `${JSON.stringify({ archive, members: offsets.slice(from, from + OFFSETS_A_LINE) })}\n`;
      yield piece;
      piece = '';
    }
  }
  yield `${piece}${JSON.stringify({ entries: count })}\n`;
}
