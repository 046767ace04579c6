/** Helpers of the encryption's tests. */
import { createHash } from 'node:crypto';
import { Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { expect } from '@jest/globals';
import { neverAborted, through } from '../../test-streams.ts';
import { archiveAad } from '../archive-aad.ts';
import { createDecryptStream } from '../decrypt-stream.ts';
import { createEncryptStream } from '../encrypt-stream.ts';
import type { EncryptionOptions } from '../format.ts';

export const SEGMENT = 1024 * 1024;
/** How much plaintext the first segment and a later one hold. */
export const FIRST = SEGMENT - 40 - 16;
export const LATER = SEGMENT - 16;

export const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });

export const ids = {
  backupId: '0190a0b0-0000-7000-8000-000000000001',
  artifactId: '0190a0b0-0000-7000-8000-000000000002',
};

export const options: EncryptionOptions = {
  key: createHash('sha256').update('a data key').digest(),
  associatedData: archiveAad({ ...ids, role: 'archive' }),
};

/** Where the plaintext of a segment begins. */
export function plainStart(segment: number): number {
  return segment === 0 ? 0 : FIRST + (segment - 1) * LATER;
}

/** Bytes without a pattern, always the same for one seed. */
export function noise(length: number, seed = 'noise'): Buffer {
  // SHAKE gives as many bytes as asked.
  return createHash('shake256', { outputLength: Math.max(1, length) })
    .update(seed)
    .digest()
    .subarray(0, length);
}

export function encrypt(chunks: Iterable<Buffer>, with_ = options): Promise<Buffer> {
  return through(chunks, createEncryptStream(with_, neverAborted()));
}

export interface Attempt {
  /** All that the stream gave out, even what nobody came to read before it failed. */
  released: Buffer;
  error: unknown;
}

export async function decrypt(chunks: Iterable<Buffer>, with_ = options): Promise<Attempt> {
  const stage = createDecryptStream(with_, neverAborted());
  const released: Buffer[] = [];
  const push = stage.push.bind(stage);
  stage.push = (chunk: Buffer | null) => {
    if (chunk) released.push(chunk);
    return push(chunk);
  };
  const nowhere = new Writable({ write: (_chunk, _encoding, callback) => callback() });
  const error = await pipeline(Readable.from(chunks, { objectMode: false }), stage, nowhere).catch(
    (cause: unknown) => cause,
  );
  return { released: Buffer.concat(released), error };
}

export function flip(bytes: Buffer, at: number, bit: number): Buffer {
  const flipped = Buffer.from(bytes);
  flipped[at] = (flipped[at] ?? 0) ^ (1 << bit);
  return flipped;
}
