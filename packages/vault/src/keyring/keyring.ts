import { AppError, EnvError } from '@tarfleet/kernel';
import type { KeyringKey } from './keyring-key.ts';
import { PASSPHRASE_KEY } from './passphrase-key.ts';
import type { KeyIds, WrappedKey } from './wrapped-key.ts';

/** The keys that a process may wrap and unwrap with. */
export interface Keyring {
  names: string[];
  /** For new backups; null when there is none. */
  primary: string | null;
  has(name: string): boolean;
  /** ENCRYPTION_KEY_NOT_FOUND. */
  wrap(name: string, dataKey: Buffer, ids: KeyIds, signal?: AbortSignal): Promise<WrappedKey>;
  /** ENCRYPTION_KEY_NOT_FOUND when its key is not here, is another one under the same name, or it was changed. */
  unwrap(wrapped: WrappedKey, ids: KeyIds, signal?: AbortSignal): Promise<Buffer>;
}

export interface KeyringContent {
  keys: KeyringKey[];
  primary: string | null;
}

/** Throws EnvError for a name that occurs twice, and for a primary key that is not there. */
export function createKeyring({ keys, primary }: KeyringContent): Keyring {
  const byName = new Map(keys.map((key) => [key.name, key]));
  const names = keys.map(({ name }) => name);
  const twice = names.find((name, index) => names.indexOf(name) !== index);
  if (twice !== undefined) {
    throw new EnvError(
      `The keyring (KEYRING_FILE) has two keys of the name ${twice}. BACKUP_ENCRYPTION_PASSPHRASE adds one named ${PASSPHRASE_KEY}.`,
    );
  }
  if (primary !== null && !byName.has(primary)) {
    throw new EnvError(`The keyring's primary key ${primary} is not in it (KEYRING_FILE).`);
  }
  const find = (name: string): KeyringKey => {
    const key = byName.get(name);
    if (key) return key;
    const known = [...byName.keys()].join(', ') || 'none';
    throw new AppError(
      'ENCRYPTION_KEY_NOT_FOUND',
      `The key ${name} is not in this worker's keyring (KEYRING_FILE), which has: ${known}. Add it there.`,
    );
  };
  return {
    names,
    primary,
    has: (name) => byName.has(name),
    async wrap(name, dataKey, ids, signal) {
      signal?.throwIfAborted();
      return find(name).wrap(dataKey, ids, signal);
    },
    async unwrap(wrapped, ids, signal) {
      signal?.throwIfAborted();
      const dataKey = await find(wrapped.keyName).unwrap(wrapped, ids, signal);
      if (dataKey) return dataKey;
      throw new AppError(
        'ENCRYPTION_KEY_NOT_FOUND',
        `The key ${wrapped.keyName} does not open this archive: it is another one than the key that had this name, or the archive's key object was changed.`,
      );
    },
  };
}
