// A destination in a folder, with one archive's key objects in it. The vault itself knows of no destination.
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Storage } from '@tarfleet/storage';
import {
  createKeyring,
  type Keyring,
  openDataKey,
  parseKeyringFile,
  rewrapDataKey,
  storeDataKey,
} from '@tarfleet/vault';
import { openTestStorage, uuid } from '../testing.ts';

const { signal } = new AbortController();
const ids = { backupId: uuid(1), artifactId: uuid(2) };
export const archiveKey = `p/${ids.backupId}/${ids.artifactId}/1-abc.tar.gz.enc`;
export const place = { archiveKey, ids };
export const keyObject = (name: string): string => `${archiveKey}.key.${name}.json`;

const keys = Object.fromEntries(
  ['k1', 'k2', 'k3'].map((name) => [name, { name, kind: 'raw', key: randomBytes(32).toString('base64') }]),
);
/** With those of the keys `k1`, `k2` and `k3`. */
export const ring = (...names: string[]): Keyring =>
  createKeyring(
    parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys: names.map((name) => keys[name]) })),
  );

/** The names of the keys that these objects are wrapped with. */
export const namesOf = (objects: readonly string[]): string[] =>
  objects.flatMap((key) => /\.key\.([a-z0-9-]+)(?:\.[0-9a-f]{16})?\.json$/.exec(key)?.[1] ?? []);

export async function openKeyStore() {
  const t = await openTestStorage();
  const pathOf = (name: string): string => join(t.path, keyObject(name));
  const rewrap = (to: string, own: Keyring, over: Storage = t.storage): Promise<boolean> =>
    rewrapDataKey(over, own, { ...place, to, assertOwned: async () => undefined }, signal);
  return {
    ...t,
    pathOf,
    /** The names of the keys that its objects are wrapped with, sorted. */
    keyNames: async (): Promise<string[]> => namesOf(await t.keys('p')).sort(),
    rewrap,
    store: (keyName: string, own = ring('k1', 'k2', 'k3')): Promise<Buffer> =>
      storeDataKey(t.storage, own, { ...place, keyName }, signal),
    open: (own: Keyring, from: Storage = t.storage): Promise<Buffer> => openDataKey(from, own, place, signal),
    /** One more key object, as rewrapping leaves it when it is killed before it deletes the old one. */
    async also(keyName: string, over: string): Promise<void> {
      const old = await readFile(pathOf(over));
      await rewrap(keyName, ring('k1', 'k2', 'k3'));
      await writeFile(pathOf(over), old);
    },
  };
}
