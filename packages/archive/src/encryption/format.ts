import { hkdfSync } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';

/**
 * Tink's streaming AEAD with the parameters of its template AES256_GCM_HKDF_1MB: HKDF with SHA-256, AES-256-GCM,
 * ciphertext segments of 1 MiB. The bytes: https://developers.google.com/tink/streaming-aead/aes_gcm_hkdf_streaming
 * - Header: its own length (one byte: 40), salt (32), nonce prefix (7). It takes its room from the first segment.
 * - Key of all segments: HKDF(key, salt, info = associated data).
 * - Nonce of a segment: prefix, number (4 bytes, big-endian, from 0), 1 for the last segment and 0 for others.
 * - A segment: ciphertext, then its tag (16); nothing besides is authenticated with it.
 * Only the last segment may be short; it is empty only when the whole plaintext is.
 */
export const SEGMENT_BYTES = 1024 * 1024;
export const HEADER_BYTES = 40;
export const TAG_BYTES = 16;
/** The plaintext of a full segment. The first one holds HEADER_BYTES less. */
export const PLAIN_SEGMENT_BYTES = SEGMENT_BYTES - TAG_BYTES;
/** Segment numbers have 32 bits. */
export const SEGMENTS_MAX = 2 ** 32;

const KEY_BYTES = 32;
const SALT_BYTES = 32;
const PREFIX_BYTES = 7;

export interface EncryptionOptions {
  /** The data key, 32 bytes, of this artifact alone. */
  key: Uint8Array;
  /** What the ciphertext is bound to (`archiveAad`), at most 1024 bytes: without the same it cannot be read. */
  associatedData: Uint8Array;
}

/** What a header and a data key make together: all that its segments need. */
export interface SegmentKeys {
  readonly key: Buffer;
  readonly noncePrefix: Buffer;
  /** Set once a tag was right: from then on a wrong one can only be damage. */
  proven: boolean;
}

/** A key of another length is the caller's mistake: RangeError. */
export function checkKey(key: Uint8Array): void {
  if (key.length !== KEY_BYTES) {
    throw new RangeError(`A data key has ${KEY_BYTES} bytes, this one ${key.length}.`);
  }
}

/** A header for given randomness, which is never used twice: `random` has HEADER_BYTES - 1 bytes. */
export function buildHeader(random: Buffer): Buffer {
  return Buffer.concat([Buffer.of(HEADER_BYTES), random], HEADER_BYTES);
}

/** Reads a header. Errors: BACKUP_CORRUPTED when it is none. */
export function deriveSegmentKeys(header: Buffer, { key, associatedData }: EncryptionOptions): SegmentKeys {
  if (header.length !== HEADER_BYTES) throw damaged('it ends in its header');
  if (header[0] !== HEADER_BYTES) throw damaged('it does not begin with the header of an encrypted archive');
  const salt = header.subarray(1, 1 + SALT_BYTES);
  return {
    key: Buffer.from(hkdfSync('sha256', key, salt, associatedData, KEY_BYTES)),
    noncePrefix: Buffer.from(header.subarray(1 + SALT_BYTES)),
    proven: false,
  };
}

/** Errors: NOT_SUPPORTED when the number has more than 32 bits. */
export function segmentNonce(prefix: Buffer, number: number, last: boolean): Buffer {
  if (number >= SEGMENTS_MAX) throw tooLarge();
  const nonce = Buffer.alloc(PREFIX_BYTES + 5);
  prefix.copy(nonce);
  nonce.writeUInt32BE(number, PREFIX_BYTES);
  nonce[PREFIX_BYTES + 4] = last ? 1 : 0;
  return nonce;
}

export function tooLarge(): AppError {
  return new AppError('NOT_SUPPORTED', 'An encrypted archive holds at most 4 PiB. Split what is backed up.');
}

export function damaged(what: string, cause?: unknown): AppError {
  return new AppError('BACKUP_CORRUPTED', `The encrypted archive is damaged (${what}). Use another backup.`, {
    cause,
  });
}
