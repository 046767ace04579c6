import {
  createPrivateKey,
  createPublicKey,
  generateKeyPairSync,
  type KeyObject,
  randomBytes,
} from 'node:crypto';

export type Curve = 'Ed25519' | 'X25519';

/** A new key pair as base64url of raw bytes (RFC 8037's `d` and `x`), under a random id. */
export function generateRawPair(curve: Curve): { keyId: string; privateKey: string; publicKey: string } {
  const pair = curve === 'Ed25519' ? generateKeyPairSync('ed25519') : generateKeyPairSync('x25519');
  const { d, x } = pair.privateKey.export({ format: 'jwk' });
  if (d === undefined || x === undefined) throw new Error(`${curve} keys cannot be made here.`);
  return { keyId: newKeyId(), privateKey: d, publicKey: x };
}

export function newKeyId(): string {
  return randomBytes(6).toString('hex');
}

export function importPublic(curve: Curve, publicKey: string): KeyObject {
  return createPublicKey({ key: { kty: 'OKP', crv: curve, x: publicKey }, format: 'jwk' });
}

export function importPrivate(curve: Curve, key: { privateKey: string; publicKey: string }): KeyObject {
  const jwk = { kty: 'OKP', crv: curve, d: key.privateKey, x: key.publicKey };
  return createPrivateKey({ key: jwk, format: 'jwk' });
}

/** Whether the two halves belong together: a wrong half would seal what nobody can open. */
export function belongTogether(curve: Curve, key: { privateKey: string; publicKey: string }): boolean {
  const own = createPublicKey(importPrivate(curve, key)).export({ format: 'jwk' });
  return own.x === key.publicKey;
}
