import { randomBytes, scrypt } from 'node:crypto';
import { EnvError } from '@tarfleet/kernel';
import type { KeyringKey } from './keyring-key.ts';
import { associatedDataOf, type Scrypt, sealKey, unsealKey } from './wrapped-key.ts';

export const PASSPHRASE_KEY = 'passphrase';

/** RFC 7914; 128 MiB and some tenths of a second for each try. */
const COST = { N: 2 ** 17, r: 8, p: 1 } as const;
const SALT_BYTES = 16;
const MIN_LENGTH = 12;
/** Derived keys that are remembered, by salt and cost: one archive's key is asked for several times in a row. */
const REMEMBERED = 64;

/**
 * A key that is derived from a passphrase by scrypt, with a random salt for each data key that it wraps. One
 * derivation runs at a time, for each takes its memory. Throws EnvError for a passphrase of fewer than 12 characters.
 */
export function passphraseKey(passphrase: string, name: string = PASSPHRASE_KEY): KeyringKey {
  if ([...passphrase].length < MIN_LENGTH) {
    throw new EnvError(
      `The passphrase of the key ${name} (BACKUP_ENCRYPTION_PASSPHRASE or KEYRING_FILE) needs at least ${MIN_LENGTH} characters.`,
    );
  }
  // However it was typed: one text, one key.
  const secret = Buffer.from(passphrase.normalize('NFC'));
  const derived = new Map<string, Promise<Buffer>>();
  let last: Promise<unknown> = Promise.resolve();
  const derive = (kdf: Scrypt): Promise<Buffer> => {
    const id = JSON.stringify([kdf.N, kdf.r, kdf.p, kdf.salt]);
    let known = derived.get(id);
    if (!known) {
      known = last.then(() => runScrypt(secret, kdf));
      last = known.catch(() => derived.delete(id));
    }
    // Put at the end: the first one is the one that was not asked for longest.
    derived.delete(id);
    derived.set(id, known);
    const [oldest] = derived.keys();
    if (derived.size > REMEMBERED && oldest !== undefined) derived.delete(oldest);
    return known;
  };
  return {
    name,
    kind: 'passphrase',
    async wrap(dataKey, ids) {
      const kdf: Scrypt = { name: 'scrypt', ...COST, salt: randomBytes(SALT_BYTES).toString('base64') };
      const sealed = sealKey(await derive(kdf), dataKey, associatedDataOf(name, ids));
      return { v: 1, format: 'tarfleet-key', keyName: name, kind: 'passphrase', kdf, ...sealed };
    },
    async unwrap(wrapped, ids) {
      if (wrapped.kind !== 'passphrase' || wrapped.keyName !== name) return null;
      return unsealKey(await derive(wrapped.kdf), wrapped, associatedDataOf(name, ids));
    },
  };
}

function runScrypt(secret: Buffer, { N, r, p, salt }: Scrypt): Promise<Buffer> {
  const maxmem = 128 * N * r * (p + 1) + 1024 * 1024;
  return new Promise((resolve, reject) => {
    // Its memory is 128 * N * r and some for each p; OpenSSL refuses to go over maxmem.
    scrypt(secret, Buffer.from(salt, 'base64'), 32, { N, r, p, maxmem }, (error, key) =>
      error ? reject(error) : resolve(key),
    );
  });
}
