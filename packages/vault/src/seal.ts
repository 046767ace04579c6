import { Aes256Gcm, CipherSuite, DhkemX25519HkdfSha256, HkdfSha256 } from '@hpke/core';
import { createParser, type SealedBox } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Static, TSchema } from 'typebox';
import type { PoolPrivateKey, PoolPublicKey } from './types.ts';

/** HPKE, RFC 9180: DHKEM(X25519, HKDF-SHA256), HKDF-SHA256, AES-256-GCM, base mode, empty aad. */
function createSuite(): CipherSuite {
  return new CipherSuite({
    kem: new DhkemX25519HkdfSha256(),
    kdf: new HkdfSha256(),
    aead: new Aes256Gcm(),
  });
}

/**
 * Seals bytes, or an object as JSON, so that only a holder of the pool's private key opens them, and only with
 * the same `info`. Each call gives another box.
 */
export async function sealFor(
  key: PoolPublicKey,
  info: string,
  plaintext: Buffer | object,
): Promise<SealedBox> {
  const suite = createSuite();
  const bytes = Buffer.isBuffer(plaintext) ? plaintext : Buffer.from(JSON.stringify(plaintext));
  const recipientPublicKey = await suite.kem.importKey('raw', raw(key.publicKey), true);
  const sealed = await suite.seal({ recipientPublicKey, info: exact(Buffer.from(info)) }, exact(bytes));
  return {
    v: 1,
    keyId: key.keyId,
    enc: Buffer.from(sealed.enc).toString('base64url'),
    ct: Buffer.from(sealed.ct).toString('base64url'),
  };
}

/**
 * Opens a box with whichever of the keys it names. SEAL_INVALID when that key is not there, when the box was
 * altered, or when it was sealed for another `info`.
 */
export async function openSealed(
  keys: readonly PoolPrivateKey[],
  info: string,
  box: SealedBox,
): Promise<Buffer> {
  const key = keys.find((candidate) => candidate.keyId === box.keyId);
  if (!key) {
    const held = keys.map((candidate) => candidate.keyId).join(', ') || 'none';
    throw new AppError(
      'SEAL_INVALID',
      `These credentials are sealed for key ${box.keyId}, which this pool's workers do not hold (they hold: ${held}). Put that key back into the pool's key file, or enter the credentials again.`,
    );
  }
  const suite = createSuite();
  try {
    const recipientKey = await suite.kem.importKey('raw', raw(key.privateKey), false);
    const params = { recipientKey, enc: raw(box.enc), info: exact(Buffer.from(info)) };
    return Buffer.from(await suite.open(params, raw(box.ct)));
  } catch (cause) {
    throw new AppError(
      'SEAL_INVALID',
      `Sealed credentials do not open with key ${box.keyId}: they were altered, or entered for another server, destination or project. Enter them again.`,
      { cause },
    );
  }
}

/** As openSealed, for what was sealed as an object; content that the schema does not fit is SEAL_INVALID too. */
export async function openSealedObject<S extends TSchema>(
  keys: readonly PoolPrivateKey[],
  info: string,
  box: SealedBox,
  schema: S,
): Promise<Static<S>> {
  const bytes = await openSealed(keys, info, box);
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch {
    // The parser's message quotes its input, which is a secret here: it goes no further.
    throw new AppError('SEAL_INVALID', 'Sealed credentials are not JSON inside. Enter them again.');
  }
  const parsed = createParser(schema)(value);
  if (!parsed.ok) {
    throw new AppError(
      'SEAL_INVALID',
      `Sealed credentials are not in the form this version knows (${parsed.faults.join('; ')}). Enter them again.`,
    );
  }
  return parsed.value;
}

function raw(base64: string): ArrayBuffer {
  return exact(Buffer.from(base64, 'base64url'));
}

/** A copy whose ArrayBuffer holds these bytes alone: small Buffers share one. */
function exact(bytes: Buffer): ArrayBuffer {
  return new Uint8Array(bytes).buffer;
}
