import {
  damaged,
  HEADER_BYTES,
  PLAIN_SEGMENT_BYTES,
  SEGMENT_BYTES,
  SEGMENTS_MAX,
  TAG_BYTES,
  tooLarge,
} from './format.ts';

/**
 * How many bytes the ciphertext of so many bytes has. Errors: NOT_SUPPORTED for more than an encrypted archive can
 * hold; RangeError for what is no number of bytes.
 */
export function encryptedSize(plainBytes: number): number {
  if (!Number.isSafeInteger(plainBytes) || plainBytes < 0) {
    throw new RangeError(`${plainBytes} is no number of bytes.`);
  }
  const segments = Math.max(1, Math.ceil((HEADER_BYTES + plainBytes) / PLAIN_SEGMENT_BYTES));
  if (segments > SEGMENTS_MAX) throw tooLarge();
  return HEADER_BYTES + plainBytes + segments * TAG_BYTES;
}

/** How many bytes a ciphertext of so many bytes holds. Errors: BACKUP_CORRUPTED when none has that size. */
export function plainSize(cipherBytes: number): number {
  const segments = Math.max(1, Math.ceil(cipherBytes / SEGMENT_BYTES));
  const lastBytes = cipherBytes - (segments - 1) * SEGMENT_BYTES;
  const least = segments > 1 ? TAG_BYTES + 1 : HEADER_BYTES + TAG_BYTES;
  if (!Number.isSafeInteger(cipherBytes) || segments > SEGMENTS_MAX || lastBytes < least) {
    throw damaged(`none has a size of ${cipherBytes} bytes`);
  }
  return cipherBytes - HEADER_BYTES - segments * TAG_BYTES;
}
