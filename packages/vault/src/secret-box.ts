import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { BoxKey } from './types.ts';

const NONCE_BYTES = 12;
const TAG_BYTES = 16;

/** Keeps the API's own secrets (destination credentials, webhook secrets) in its database. */
export interface SecretBox {
  /** Under the first key. `aad` names what it belongs to, and must be stated again to open it. */
  seal(aad: string, value: object): string;
  /** SEAL_INVALID when the key is not there, the text was altered, or it belongs to something else. */
  open(aad: string, sealed: string): unknown;
}

/**
 * AES-256-GCM with a random 96-bit nonce, as `v1.<key id>.<base64url of nonce, ciphertext, tag>`. Fit for
 * 2^32 secrets per key (NIST SP 800-38D, 8.3). The first key seals; all of them open.
 */
export function createSecretBox(keys: readonly BoxKey[]): SecretBox {
  const [current] = keys;
  if (!current) throw new Error('A secret box needs a key.');
  const bound = (keyId: string, aad: string): Buffer =>
    Buffer.from(JSON.stringify(['tarfleet:secret-box:v1', keyId, aad]));
  return {
    seal(aad, value) {
      const nonce = randomBytes(NONCE_BYTES);
      const cipher = createCipheriv('aes-256-gcm', Buffer.from(current.key, 'base64url'), nonce);
      cipher.setAAD(bound(current.keyId, aad));
      const ciphertext = Buffer.concat([cipher.update(JSON.stringify(value), 'utf8'), cipher.final()]);
      const body = Buffer.concat([nonce, ciphertext, cipher.getAuthTag()]);
      return `v1.${current.keyId}.${body.toString('base64url')}`;
    },
    open(aad, sealed) {
      const [version, keyId, text, ...rest] = sealed.split('.');
      if (version !== 'v1' || keyId === undefined || text === undefined || rest.length > 0) {
        throw new AppError(
          'SEAL_INVALID',
          'A stored secret is not in a form this version knows. Enter it again.',
        );
      }
      const key = keys.find((candidate) => candidate.keyId === keyId);
      if (!key) {
        throw new AppError(
          'SEAL_INVALID',
          `A stored secret is kept under key ${keyId}, which is not in the API's key file. Put that key back, or enter the secret again.`,
        );
      }
      try {
        const body = Buffer.from(text, 'base64url');
        // Base64 has several spellings of the same bytes; only ours is taken.
        if (body.toString('base64url') !== text) throw new Error('not canonical base64url');
        const decipher = createDecipheriv(
          'aes-256-gcm',
          Buffer.from(key.key, 'base64url'),
          body.subarray(0, NONCE_BYTES),
          { authTagLength: TAG_BYTES },
        );
        decipher.setAAD(bound(keyId, aad));
        decipher.setAuthTag(body.subarray(-TAG_BYTES));
        const ciphertext = body.subarray(NONCE_BYTES, -TAG_BYTES);
        const plain = Buffer.concat([decipher.update(ciphertext), decipher.final()]);
        return JSON.parse(plain.toString('utf8')) as unknown;
      } catch (cause) {
        throw new AppError(
          'SEAL_INVALID',
          `A stored secret does not open with key ${keyId}: it was altered or belongs to something else. Enter it again.`,
          { cause },
        );
      }
    },
  };
}
