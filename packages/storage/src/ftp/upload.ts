import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';
import type { Client } from 'basic-ftp';
import type { PutResult } from '../types.ts';
import { isUnavailable } from './ftp-faults.ts';
import { removeFile, sizeOf } from './ftp-files.ts';

/** A server that has not yet ended its part of the handshake takes the end of an empty upload for a broken one. */
const EMPTY_MS = 500;

/** What the caller's own stream or refusal ended a call with: not the server's, and told as it is. */
export class OwnFault {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** The server refused a new file before it took a byte, so that another try may follow. */
export class NotBegun {
  readonly error: unknown;
  constructor(error: unknown) {
    this.error = error;
  }
}

/** Stores all chunks in a new file, and asks how long it became: FTP ends an upload that was cut as it ends a whole one. */
export async function upload(
  client: Client,
  path: string,
  chunks: AsyncIterable<Buffer>,
): Promise<PutResult> {
  const hash = createHash('sha256');
  let bytes = 0;
  let fault: OwnFault | null = null;
  let begun = false;
  async function* counted(): AsyncGenerator<Buffer> {
    begun = true;
    try {
      for await (const chunk of chunks) {
        hash.update(chunk);
        bytes += chunk.length;
        yield chunk;
      }
      if (bytes === 0) await sleep(EMPTY_MS);
    } catch (error) {
      fault = new OwnFault(error);
      throw error;
    }
  }
  try {
    await client.uploadFrom(Readable.from(counted(), { objectMode: false }), path);
  } catch (error) {
    throw begun ? (fault ?? error) : new NotBegun(error);
  }
  const stored = await sizeOf(client, path);
  if (stored !== bytes) {
    throw new AppError(
      'STORAGE_FAILED',
      `The FTP server stored ${stored ?? 'nothing'} of ${bytes} bytes, and called that complete.`,
      { retryable: true },
    );
  }
  return { bytes, sha256: hash.digest('hex') };
}

/** Renames over what is there. A server that refuses has the old object removed first: for a moment there is none. */
export async function renameOver(client: Client, part: string, target: string): Promise<void> {
  try {
    await client.rename(part, target);
  } catch (error) {
    if (!isUnavailable(error) || (await sizeOf(client, target)) === null) throw error;
    await removeFile(client, target);
    await client.rename(part, target);
  }
}
