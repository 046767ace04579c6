/** A data key under a key of the keyring: the content of a key object. See `docs/encryption.md`. */
import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';
import { createParser, KeyName } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';

const closed = { additionalProperties: false } as const;
/** Whole groups, and no spelling but the encoder's: 12, 16 and 48 bytes, and what AWS KMS gives. */
const Nonce = Type.String({ pattern: '^[A-Za-z0-9+/]{16}$' });
const Salt = Type.String({ pattern: '^[A-Za-z0-9+/]{21}[AQgw]==$' });
const Sealed = Type.String({ pattern: '^[A-Za-z0-9+/]{64}$' });
const KmsBlob = Type.String({
  pattern:
    '^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{4}|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=|[A-Za-z0-9+/][AQgw]==)$',
  maxLength: 16_384,
});
const base = { v: Type.Literal(1), format: Type.Literal('tarfleet-key'), keyName: KeyName };

/** RFC 7914's parameters; bounded, for they come from a bucket: 1 GiB of memory at most (128 * N * r bytes). */
export const Scrypt = Type.Object(
  {
    name: Type.Literal('scrypt'),
    N: Type.Enum([2 ** 14, 2 ** 15, 2 ** 16, 2 ** 17, 2 ** 18, 2 ** 19, 2 ** 20]),
    r: Type.Literal(8),
    p: Type.Integer({ minimum: 1, maximum: 4 }),
    salt: Salt,
  },
  closed,
);
export type Scrypt = Static<typeof Scrypt>;

export const WrappedKey = Type.Union([
  Type.Object({ ...base, kind: Type.Literal('raw'), nonce: Nonce, ciphertext: Sealed }, closed),
  Type.Object(
    { ...base, kind: Type.Literal('passphrase'), kdf: Scrypt, nonce: Nonce, ciphertext: Sealed },
    closed,
  ),
  Type.Object({ ...base, kind: Type.Literal('aws-kms'), ciphertext: KmsBlob }, closed),
]);
export type WrappedKey = Static<typeof WrappedKey>;

/** What a data key is for; whoever unwraps it must ask for the same. */
export interface KeyIds {
  backupId: string;
  artifactId: string;
}

const DATA_KEY_BYTES = 32;
const NONCE_BYTES = 12;
const TAG_BYTES = 16;
const parse = createParser(WrappedKey);

/** BACKUP_CORRUPTED for what is no wrapped key, NOT_SUPPORTED for one of a later version. */
export function parseWrappedKey(text: string): WrappedKey {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new AppError('BACKUP_CORRUPTED', "An archive's key object is not JSON.", { cause });
  }
  const parsed = parse(value);
  if (parsed.ok) return parsed.value;
  const { v, format } = (value ?? {}) as { v?: unknown; format?: unknown };
  if (format === 'tarfleet-key' && typeof v === 'number' && v > 1) {
    throw new AppError(
      'NOT_SUPPORTED',
      `An archive's key object has version ${v}; this program reads version 1.`,
    );
  }
  throw new AppError('BACKUP_CORRUPTED', `An archive's key object is damaged: ${parsed.faults.join('; ')}.`);
}

/** AES-256-GCM (NIST SP 800-38D) with a random nonce; the tag follows the ciphertext. */
export function sealKey(
  wrapping: Buffer,
  dataKey: Buffer,
  associatedData: Buffer,
): { nonce: string; ciphertext: string } {
  const nonce = randomBytes(NONCE_BYTES);
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce).setAAD(associatedData);
  const sealed = Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
  return { nonce: nonce.toString('base64'), ciphertext: sealed.toString('base64') };
}

/** Null when the key is another one, or anything was changed. */
export function unsealKey(
  wrapping: Buffer,
  sealed: { nonce: string; ciphertext: string },
  associatedData: Buffer,
): Buffer | null {
  const nonce = Buffer.from(sealed.nonce, 'base64');
  const bytes = Buffer.from(sealed.ciphertext, 'base64');
  if (nonce.length !== NONCE_BYTES || bytes.length !== DATA_KEY_BYTES + TAG_BYTES) return null;
  const decipher = createDecipheriv('aes-256-gcm', wrapping, nonce, { authTagLength: TAG_BYTES });
  decipher.setAAD(associatedData).setAuthTag(bytes.subarray(DATA_KEY_BYTES));
  try {
    return Buffer.concat([decipher.update(bytes.subarray(0, DATA_KEY_BYTES)), decipher.final()]);
  } catch {
    // Node says no more than that the tag is wrong.
    return null;
  }
}

/** Compact JSON, UTF-8: `["tarfleet-key",1,"<key name>","<backup id>","<artifact id>"]`. */
export function associatedDataOf(keyName: string, { backupId, artifactId }: KeyIds): Buffer {
  return Buffer.from(JSON.stringify(['tarfleet-key', 1, keyName, backupId, artifactId]));
}

/** A key of an archive's own. */
export function newDataKeyBytes(): Buffer {
  return randomBytes(DATA_KEY_BYTES);
}
