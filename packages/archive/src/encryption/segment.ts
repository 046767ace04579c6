import { createCipheriv, createDecipheriv } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import { damaged, type SegmentKeys, segmentNonce, TAG_BYTES } from './format.ts';

const ALGORITHM = 'aes-256-gcm';

/** Encrypts one segment's plaintext: the ciphertext and then the tag, as buffers of their own. */
export function sealSegment(keys: SegmentKeys, plain: Buffer, number: number, last: boolean): Buffer[] {
  const cipher = createCipheriv(ALGORITHM, keys.key, segmentNonce(keys.noncePrefix, number, last));
  const body = cipher.update(plain);
  // GCM has no padding: `final` gives no bytes, but without it there is no tag.
  cipher.final();
  return [body, cipher.getAuthTag()];
}

/** The plaintext of one segment (without the header), once its tag was checked. Errors: BACKUP_CORRUPTED. */
export function openSegment(keys: SegmentKeys, sealed: Buffer, number: number, last: boolean): Buffer {
  // Of several segments none is empty: the writer would have ended with the one before.
  const least = number > 0 ? TAG_BYTES + 1 : TAG_BYTES;
  if (sealed.length < least) throw damaged(`it ends in segment ${number}`);
  const nonce = segmentNonce(keys.noncePrefix, number, last);
  const decipher = createDecipheriv(ALGORITHM, keys.key, nonce, { authTagLength: TAG_BYTES });
  const bodyBytes = sealed.length - TAG_BYTES;
  decipher.setAuthTag(sealed.subarray(bodyBytes));
  const plain = decipher.update(sealed.subarray(0, bodyBytes));
  try {
    decipher.final();
  } catch (cause) {
    throw refused(keys, number, last, cause);
  }
  keys.proven = true;
  return plain;
}

/** Node says nothing but that the tag is wrong. */
function refused(keys: SegmentKeys, number: number, last: boolean, cause: unknown): AppError {
  if (keys.proven) {
    const end = last ? ', or bytes before or after it are missing or too many' : '';
    return damaged(`segment ${number} was changed${end}`, cause);
  }
  return new AppError(
    'BACKUP_CORRUPTED',
    'The encrypted archive is damaged, or its key is another, or it belongs to another backup. ' +
      'Check the key of this backup; if it is the right one, use another backup.',
    { cause },
  );
}
