import type { KeyringKey } from './keyring-key.ts';
import { associatedDataOf, sealKey, unsealKey } from './wrapped-key.ts';

/** A key of 32 random bytes. */
export function rawKey(name: string, key: Buffer): KeyringKey {
  if (key.length !== 32) throw new TypeError('A raw key has 32 bytes.');
  return {
    name,
    kind: 'raw',
    async wrap(dataKey, ids) {
      const sealed = sealKey(key, dataKey, associatedDataOf(name, ids));
      return { v: 1, format: 'tarfleet-key', keyName: name, kind: 'raw', ...sealed };
    },
    async unwrap(wrapped, ids) {
      if (wrapped.kind !== 'raw' || wrapped.keyName !== name) return null;
      return unsealKey(key, wrapped, associatedDataOf(name, ids));
    },
  };
}
