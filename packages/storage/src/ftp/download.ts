import { Readable, Writable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import type { FtpLease } from './ftp-pool.ts';

export interface FtpDownload {
  /** Given back when the stream has ended, however it ends. */
  lease: FtpLease;
  path: string;
  start: number;
  /** Exactly so many, at least one: fewer are an error of the stream. */
  bytes: number;
  /** Whether the range ends with the object: else the connection is cut, which is the only way to stop a server. */
  toEnd: boolean;
  signal: AbortSignal;
  translate(error: unknown): AppError;
}

export function downloadFtp({ lease, path, start, bytes, toEnd, signal, translate }: FtpDownload): Readable {
  const { client, release } = lease;
  let left = bytes;
  let resume: (() => void) | null = null;

  const stream = new Readable({
    highWaterMark: 256 * 1024,
    read() {
      const go = resume;
      resume = null;
      go?.();
    },
    destroy(error, callback) {
      signal.removeEventListener('abort', onAbort);
      // Nothing is under way any more where the last byte of the object has come: the server's last word does.
      if (left > 0 || !toEnd) release(false);
      callback(error);
    },
  });
  const sink = new Writable({
    write(chunk: Buffer, _encoding, done) {
      const wanted = chunk.subarray(0, left);
      left -= wanted.length;
      const more = wanted.length === 0 || stream.destroyed || stream.push(wanted);
      if (left === 0 && wanted.length > 0) stream.push(null);
      // After its end nobody asks the stream for more, and the connection would never be given back.
      if (more || left === 0) done();
      else resume = done;
    },
  });
  client.downloadTo(sink, path, start).then(
    () => {
      release(true);
      // The server calls it complete: a file that was cut while it was read, or a cut that went unseen.
      if (left > 0) stream.destroy(endedEarly(path, left));
    },
    (error: unknown) => {
      release(false);
      if (left > 0) stream.destroy(translate(error));
    },
  );
  // The abort may come before anybody reads: it then waits in the stream for whoever comes.
  stream.on('error', () => undefined);
  const onAbort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return stream;
}

function endedEarly(path: string, missing: number): AppError {
  return new AppError(
    'STORAGE_FAILED',
    `The FTP server sent ${missing} bytes less of ${path} than there are.`,
    {
      retryable: true,
    },
  );
}
