import type { FileHandle } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import { translateFsError } from './fs-errors.ts';

const CHUNK_BYTES = 256 * 1024;

export interface FileRange {
  start: number;
  /** Exactly so many: fewer is an error of the stream. */
  bytes: number;
}

/** Reads a range of an open file. The stream owns the handle and closes it at its end, however it ends. */
export function fileStream(
  handle: FileHandle,
  range: FileRange,
  root: string,
  signal: AbortSignal,
): Readable {
  let position = range.start;
  let left = range.bytes;
  const next = async (): Promise<Buffer | null> => {
    if (left === 0) return null;
    const wanted = Math.min(CHUNK_BYTES, left);
    const { bytesRead, buffer } = await handle.read(Buffer.allocUnsafe(wanted), 0, wanted, position);
    if (bytesRead === 0) {
      throw new AppError(
        'STORAGE_FAILED',
        `A file in the destination folder ${root} ended ${left} bytes early: it was cut while it was read.`,
      );
    }
    position += bytesRead;
    left -= bytesRead;
    return buffer.subarray(0, bytesRead);
  };
  const stream = new Readable({
    highWaterMark: CHUNK_BYTES,
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error: unknown) => this.destroy(translateFsError(error, { root, writing: false }) as Error),
      );
    },
    destroy(error, callback) {
      signal.removeEventListener('abort', onAbort);
      handle.close().then(
        () => callback(error),
        (fault: Error) => callback(error ?? fault),
      );
    },
  });
  // The abort may come before anybody reads: it then waits in the stream for whoever comes.
  stream.on('error', () => undefined);
  const onAbort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return stream;
}
