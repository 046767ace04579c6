import { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import { STATUS, statusOf } from './sftp-faults.ts';
import type { SftpSession } from './sftp-session.ts';
import { closeHandle } from './write-file.ts';

const PIECE = 32 * 1024;
/** Pieces that are asked for ahead: 1 MiB, and what a reader that pauses keeps in memory. */
const AHEAD = 32;

export interface ReadRange {
  start: number;
  /** Exactly so many: fewer is an error of the stream. */
  bytes: number;
}

/** Reads a range of an open file. The stream owns the handle and closes it, however it ends. */
export function readStream(
  session: SftpSession,
  handle: Buffer,
  range: ReadRange,
  signal: AbortSignal,
  translate: (error: unknown) => unknown,
): Readable {
  const end = range.start + range.bytes;
  let asked = range.start;
  const pieces: Promise<Buffer>[] = [];

  async function piece(from: number, length: number): Promise<Buffer> {
    const memory = Buffer.allocUnsafe(length);
    let filled = 0;
    while (filled < length) {
      const got = await session
        .call<number>(signal, (sftp, done) =>
          sftp.read(handle, memory, filled, length - filled, from + filled, done),
        )
        .catch((error: unknown) => {
          if (statusOf(error) === STATUS.endOfFile) return 0;
          throw error;
        });
      if (!got) throw endedEarly(end - from - filled);
      filled += got;
    }
    return memory;
  }

  async function next(): Promise<Buffer | null> {
    while (asked < end && pieces.length < AHEAD) {
      const length = Math.min(PIECE, end - asked);
      const coming = piece(asked, length);
      // It is looked at when its turn comes, or never, when an earlier one fails.
      coming.catch(() => undefined);
      pieces.push(coming);
      asked += length;
    }
    return (await pieces.shift()) ?? null;
  }

  const stream = new Readable({
    highWaterMark: PIECE,
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error: unknown) => this.destroy(translate(error) as Error),
      );
    },
    destroy(error, callback) {
      signal.removeEventListener('abort', onAbort);
      // What was only read cannot be lost by a close that fails.
      closeHandle(session, handle).catch(() => undefined);
      callback(error);
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

function endedEarly(missing: number): AppError {
  return new AppError(
    'STORAGE_FAILED',
    `A file of the SFTP server ended ${missing} bytes early: it was cut while it was read.`,
  );
}
