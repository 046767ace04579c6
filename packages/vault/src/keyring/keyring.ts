import { AppError, EnvError } from '@tarfleet/kernel';
import type { KeyringKey } from './keyring-key.ts';
import type { KeyIds, WrappedKey } from './wrapped-key.ts';

/** The keys that a process may wrap and unwrap with. */
export interface Keyring {
  names: string[];
  /** For new backups; null when there is none. */
  primary: string | null;
  has(name: string): boolean;
  /** ENCRYPTION_KEY_NOT_FOUND. */
  wrap(name: string, dataKey: Buffer, ids: KeyIds): Promise<WrappedKey>;
  /** ENCRYPTION_KEY_NOT_FOUND when its key is not here, is another one under the same name, or it was changed. */
  unwrap(wrapped: WrappedKey, ids: KeyIds): Promise<Buffer>;
}

export interface KeyringContent {
  keys: KeyringKey[];
  primary: string | null;
}

/** Throws EnvError for a name that occurs twice, and for a primary key that is not there. */
export function createKeyring({ keys, primary }: KeyringContent): Keyring {
  const byName = new Map(keys.map((key) => [key.name, key]));
  if (byName.size < keys.length) throw new EnvError('The keyring names a key twice.');
  if (primary !== null && !byName.has(primary)) {
    throw new EnvError(`The keyring's primary key ${primary} is not in it.`);
  }
  const find = (name: string): KeyringKey => {
    const key = byName.get(name);
    if (key) return key;
    const known = [...byName.keys()].join(', ') || 'none';
    throw new AppError(
      'ENCRYPTION_KEY_NOT_FOUND',
      `The key ${name} is not in this worker's keyring (KEYRING_FILE), which has: ${known}.`,
    );
  };
  return {
    names: [...byName.keys()],
    primary,
    has: (name) => byName.has(name),
    wrap: async (name, dataKey, ids) => find(name).wrap(dataKey, ids),
    async unwrap(wrapped, ids) {
      const dataKey = await find(wrapped.keyName).unwrap(wrapped, ids);
      if (dataKey) return dataKey;
      throw new AppError(
        'ENCRYPTION_KEY_NOT_FOUND',
        `The key ${wrapped.keyName} does not open this archive: it is another one than the key that had this name, or the archive's key object was changed.`,
      );
    },
  };
}
