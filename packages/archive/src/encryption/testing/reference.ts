/**
 * Helper of the tests: AES-GCM-HKDF streaming written a second time, from its specification and with other libraries
 * (noble), on whole buffers and for any parameters, so that Tink's own vectors can be run through it.
 */
import { gcm } from '@noble/ciphers/aes.js';
import { hkdf } from '@noble/hashes/hkdf.js';
import { sha1 } from '@noble/hashes/legacy.js';
import { sha256 } from '@noble/hashes/sha2.js';

export interface ReferenceParameters {
  hash: 'sha1' | 'sha256';
  /** Of the derived key and of the salt, in bytes. */
  keyBytes: 16 | 32;
  segmentBytes: number;
}

/** AES256_GCM_HKDF_1MB. */
export const ONE_MIB: ReferenceParameters = { hash: 'sha256', keyBytes: 32, segmentBytes: 1024 * 1024 };

const hashes = { sha1, sha256 };

function segments(
  parameters: ReferenceParameters,
  secrets: { key: Uint8Array; associatedData: Uint8Array; header: Uint8Array },
) {
  const { hash, keyBytes } = parameters;
  const salt = secrets.header.slice(1, 1 + keyBytes);
  const prefix = secrets.header.slice(1 + keyBytes);
  const derived = hkdf(hashes[hash], secrets.key, salt, secrets.associatedData, keyBytes);
  return (index: number, isLast: boolean) =>
    gcm(
      derived,
      Uint8Array.of(
        ...prefix,
        (index / 2 ** 24) & 0xff,
        (index >> 16) & 0xff,
        (index >> 8) & 0xff,
        index & 0xff,
        isLast ? 1 : 0,
      ),
    );
}

export function referenceEncrypt(
  parameters: ReferenceParameters,
  secrets: { key: Uint8Array; associatedData: Uint8Array; header: Uint8Array },
  plain: Uint8Array,
): Buffer {
  const cipher = segments(parameters, secrets);
  const output: Uint8Array[] = [secrets.header];
  let from = 0;
  let index = 0;
  do {
    const room = parameters.segmentBytes - 16 - (index === 0 ? secrets.header.length : 0);
    const to = Math.min(plain.length, from + room);
    output.push(cipher(index, to === plain.length).encrypt(plain.slice(from, to)));
    from = to;
    index += 1;
  } while (from < plain.length);
  return Buffer.concat(output);
}

export function referenceDecrypt(
  parameters: ReferenceParameters,
  secrets: { key: Uint8Array; associatedData: Uint8Array },
  sealed: Uint8Array,
): Buffer {
  const header = sealed.slice(0, sealed[0]);
  const cipher = segments(parameters, { ...secrets, header });
  const output: Uint8Array[] = [];
  for (let index = 0; index * parameters.segmentBytes < sealed.length; index += 1) {
    const from = index === 0 ? header.length : index * parameters.segmentBytes;
    const to = (index + 1) * parameters.segmentBytes;
    output.push(cipher(index, to >= sealed.length).decrypt(sealed.slice(from, to)));
  }
  return Buffer.concat(output);
}
