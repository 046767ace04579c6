import { randomBytes } from 'node:crypto';
import type { ApiKeys, PoolKeys } from './key-files.ts';
import { generateRawPair, newKeyId } from './raw-keys.ts';
import type { PoolPrivateKey, PoolPublicKey, SigningKey, SigningPublicKey } from './types.ts';

/** The content of a new `api-keys.json`. */
export function generateApiKeys(): ApiKeys {
  return {
    v: 1,
    jwtSecret: randomBytes(32).toString('base64url'),
    signing: [generateRawPair('Ed25519')],
    box: [{ keyId: newKeyId(), key: randomBytes(32).toString('base64url') }],
  };
}

/** The content of a new `pool-<name>.json`, whose workers obey plans of these signers. */
export function generatePoolKeys(
  pool: string,
  signers: readonly (SigningKey | SigningPublicKey)[],
): PoolKeys {
  return {
    v: 1,
    pool,
    keys: [generateRawPair('X25519')],
    // Never a spread: the API's signing keys fit the type, and their private halves must stay with it.
    signers: signers.map(({ keyId, publicKey }) => ({ keyId, publicKey })),
  };
}

/** The half of a pool's current key that the API may have. */
export function publicHalf({ keys }: { keys: readonly PoolPrivateKey[] }): PoolPublicKey {
  const [current] = keys;
  if (!current) throw new Error('A pool needs a key.');
  return { keyId: current.keyId, publicKey: current.publicKey };
}
