/** Helpers of this package's tests. */
import { type Duplex, Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';

/** Sends the chunks through and gives all that came out; rejects with what went wrong. */
export async function through(chunks: Iterable<Buffer>, stage: Duplex): Promise<Buffer> {
  let result = Buffer.alloc(0);
  await pipeline(
    Readable.from(chunks, { objectMode: false }),
    stage,
    async (output: AsyncIterable<Buffer>) => {
      result = await buffer(Readable.from(output, { objectMode: false }));
    },
  );
  return result;
}

/** The bytes cut at the given places, or into single bytes. */
export function cut(bytes: Buffer, at: number[] | 'bytes'): Buffer[] {
  const places =
    at === 'bytes'
      ? Array.from({ length: bytes.length }, (_, index) => index)
      : [...new Set(at.map((place) => place % (bytes.length + 1)))].sort((a, b) => a - b);
  const chunks: Buffer[] = [];
  let from = 0;
  for (const place of [...places, bytes.length]) {
    if (place > from) chunks.push(bytes.subarray(from, place));
    from = place;
  }
  return chunks;
}

export function neverAborted(): AbortSignal {
  return new AbortController().signal;
}
