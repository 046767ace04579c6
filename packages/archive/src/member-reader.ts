import { Duplex } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { AppError } from '@tarfleet/kernel';
import { destroyOnAbort } from './abort.ts';

/**
 * Gzip members in, the tar bytes out. Strict where zlib is lenient: a truncated member, a wrong checksum, no
 * member at all, and any byte after the last member (zero padding too) are BACKUP_CORRUPTED, never a clean end.
 * A file cut exactly between two members is still valid gzip: that is for the tar walker to see.
 */
export function createMemberReader(signal: AbortSignal): Duplex {
  const gunzip = createGunzip({ chunkSize: 256 * 1024 });
  let received = 0;
  let inputEnded = false;
  let outputEnded = false;

  const reader = new Duplex({
    allowHalfOpen: true,
    write(chunk: Buffer, _encoding, callback) {
      received += chunk.length;
      gunzip.write(chunk, (error) => callback(error ? corrupted(error.message, error) : null));
    },
    final(callback) {
      inputEnded = true;
      gunzip.end();
      finish();
      callback();
    },
    read() {
      gunzip.resume();
    },
    destroy(error, callback) {
      gunzip.destroy();
      callback(error);
    },
  });

  /** Zlib stops at what is no member and says nothing; but it counts what it has used. */
  const finish = (): void => {
    if (!inputEnded || !outputEnded) return;
    if (gunzip.bytesWritten === received) reader.push(null);
    else reader.destroy(corrupted(`${received - gunzip.bytesWritten} bytes after the end`));
  };

  gunzip.on('data', (chunk: Buffer) => {
    if (!reader.push(chunk)) gunzip.pause();
  });
  gunzip.on('end', () => {
    outputEnded = true;
    finish();
  });
  gunzip.on('error', (error) => reader.destroy(corrupted(error.message, error)));
  destroyOnAbort(reader, signal);
  return reader;
}

function corrupted(what: string, cause?: unknown): AppError {
  return new AppError('BACKUP_CORRUPTED', `The archive is damaged (${what}). Use another backup.`, { cause });
}
