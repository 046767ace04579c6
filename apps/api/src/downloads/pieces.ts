import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';

/** Bytes that are known, or an object of the destination. A file to download is a row of these. */
export type Piece = { bytes: number } & ({ content: Buffer } | { key: string });

/** How much of a file is to be read. */
export interface Span {
  start: number;
  length: number;
}

/**
 * A span of the file that these pieces make, in the chunks in which it comes. Only objects that the span touches are
 * opened, one after the other, and of each only that part. One that ends early is an error. The caller's signal, or
 * leaving the loop, ends what is open.
 */
export async function* readPieces(
  storage: Pick<Storage, 'get'>,
  pieces: readonly Piece[],
  { start, length }: Span,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  let at = 0;
  for (const piece of pieces) {
    const from = Math.max(0, start - at);
    const to = Math.min(piece.bytes, start + length - at);
    at += piece.bytes;
    if (from >= to) continue;
    if ('content' in piece) yield piece.content.subarray(from, to);
    else yield* readObject(storage, piece.key, { start: from, length: to - from }, signal);
  }
}

async function* readObject(
  storage: Pick<Storage, 'get'>,
  key: string,
  { start, length }: Span,
  signal: AbortSignal,
): AsyncGenerator<Buffer> {
  const body = await storage.get(key, { signal, start, length });
  let left = length;
  try {
    for await (const chunk of body as AsyncIterable<Buffer>) {
      left -= chunk.length;
      if (left < 0) break;
      yield chunk;
    }
  } finally {
    body.destroy();
  }
  if (left === 0) return;
  throw new AppError('STORAGE_FAILED', `The object ${key} has another length than it had a moment ago.`);
}

export function sizeOf(pieces: readonly Piece[]): number {
  return pieces.reduce((sum, { bytes }) => sum + bytes, 0);
}
