import type { IndexEntry } from '../index-file/format.ts';

/** What lies of one entry in one block of an archive's tar stream. */
export interface Piece {
  archive: number;
  block: number;
  /** Within the block. */
  start: number;
  end: number;
  /** It lies there under another name, so out of order. */
  shared: boolean;
  /** With the entry's first piece. */
  entry: IndexEntry | null;
}

/** What is fetched together. */
export interface Batch {
  pieces: Piece[];
}

/** So many small entries wait in memory at most. */
const PIECES_MAX = 16_384;

/** Cuts entries at the borders of blocks, and puts pieces together until they touch `blocks` different ones. */
export async function* planBatches(
  entries: AsyncIterable<IndexEntry>,
  blockBytesOf: (archive: number) => number,
  blocks: number,
): AsyncGenerator<Batch> {
  let pieces: Piece[] = [];
  let touched = new Set<string>();
  for await (const entry of entries) {
    for (const piece of cut(entry, blockBytesOf(entry.at.archive))) {
      const key = `${piece.archive}:${piece.block}`;
      if ((touched.size >= blocks && !touched.has(key)) || pieces.length >= PIECES_MAX) {
        yield { pieces };
        pieces = [];
        touched = new Set();
      }
      touched.add(key);
      pieces.push(piece);
    }
  }
  if (pieces.length > 0) yield { pieces };
}

function* cut(entry: IndexEntry, blockBytes: number): Generator<Piece> {
  const { archive, offset, bytes } = entry.at;
  for (let at = offset; at < offset + bytes; ) {
    const block = Math.floor(at / blockBytes);
    const end = Math.min(offset + bytes, (block + 1) * blockBytes);
    const base = block * blockBytes;
    yield {
      ...{ archive, block, start: at - base, end: end - base },
      ...{ shared: entry.as !== null, entry: at === offset ? entry : null },
    };
    at = end;
  }
}
