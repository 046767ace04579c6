// Over a real destination: the vault itself knows of none.
import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import {
  archiveOfKeyObject,
  createKeyring,
  type Keyring,
  newKeyringFile,
  openDataKey,
  parseKeyringFile,
  recoveryKeyOf,
  rewrapDataKey,
  storeDataKey,
} from '@tarfleet/vault';
import { openTestStorage, uuid } from '../testing.ts';

const { signal } = new AbortController();
const ids = { backupId: uuid(1), artifactId: uuid(2) };
const archiveKey = `p/${ids.backupId}/${ids.artifactId}/1-abc.tar.gz.enc`;
const place = { archiveKey, ids };
const keyObject = (name: string): string => `${archiveKey}.key.${name}.json`;
const assertOwned = async (): Promise<void> => undefined;
const keys = Object.fromEntries(
  ['k1', 'k2', 'k3'].map((name) => [name, { name, kind: 'raw', key: randomBytes(32).toString('base64') }]),
);
const ring = (...names: string[]): Keyring =>
  createKeyring(
    parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys: names.map((name) => keys[name]) })),
  );
const codeOf = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

let t: Awaited<ReturnType<typeof openTestStorage>>;
beforeEach(async () => {
  t = await openTestStorage();
});
afterEach(() => t.close());

const store = (keyName: string, own = ring('k1', 'k2', 'k3')): Promise<Buffer> =>
  storeDataKey(t.storage, own, { ...place, keyName }, signal);
const open = (own: Keyring, from: Storage = t.storage): Promise<Buffer> =>
  openDataKey(from, own, place, signal);
const rewrap = (to: string, own: Keyring, over: Storage = t.storage): Promise<boolean> =>
  rewrapDataKey(over, own, { ...place, to, assertOwned }, signal);
/** One more key object, as rewrapping leaves it when it is killed before it deletes the old one. */
async function also(keyName: string, over: string): Promise<void> {
  const old = await readFile(join(t.path, keyObject(over)));
  await rewrap(keyName, ring('k1', 'k2', 'k3'));
  await writeFile(join(t.path, keyObject(over)), old);
}

test('an archive has a key of its own, which lies beside it wrapped and opens again', async () => {
  const dataKey = await store('k1');
  expect(dataKey).toHaveLength(32);
  expect(await t.keys('p')).toEqual([keyObject('k1')]);
  expect(archiveOfKeyObject(keyObject('k1'))).toBe(archiveKey);
  expect(archiveOfKeyObject(archiveKey)).toBeNull();
  const text = await readFile(join(t.path, keyObject('k1')), 'utf8');
  expect(text).not.toContain(dataKey.toString('base64'));
  expect(JSON.parse(text)).toMatchObject({ v: 1, format: 'tarfleet-key', keyName: 'k1', kind: 'raw' });
  expect(await open(ring('k2', 'k1'))).toEqual(dataKey);
});

test('a keyring written down opens what the keyring wrapped', async () => {
  const file = JSON.stringify(newKeyringFile());
  const { keys: made, primary } = parseKeyringFile(file);
  const dataKey = await store(primary ?? '', createKeyring({ keys: made, primary }));
  const written = { v: 1, primary: null, keys: [{ kind: 'recovery', recoveryKey: recoveryKeyOf(file) }] };
  expect(await open(createKeyring(parseKeyringFile(JSON.stringify(written))))).toEqual(dataKey);
});

test('nothing is stored under a name that would not be found again, nor over what is there', async () => {
  const wrong = { ...place, archiveKey: archiveKey.replace('.enc', ''), keyName: 'k1' };
  await expect(storeDataKey(t.storage, ring('k1'), wrong, signal)).rejects.toThrow(TypeError);
  await expect(store('k2', ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND'));
  expect(await t.keys('p')).toEqual([]);
  const dataKey = await store('k1');
  await expect(store('k1')).rejects.toEqual(codeOf('OBJECT_EXISTS'));
  expect(await open(ring('k1'))).toEqual(dataKey);
});

test('a key that is missing is named; an archive without any is corrupted', async () => {
  await expect(open(ring('k1'))).rejects.toEqual(codeOf('BACKUP_CORRUPTED', 'is gone'));
  await store('k1');
  await also('k2', 'k1');
  await expect(open(ring('k3'))).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND', "the key k1 or k2, which this worker's keyring (KEYRING_FILE)"),
  );
  // The folder may hold other archives' keys, of a name that begins alike too.
  const other = { ...place, archiveKey: archiveKey.replace('1-abc', '1-abcd') };
  await expect(openDataKey(t.storage, ring('k1'), other, signal)).rejects.toEqual(codeOf('BACKUP_CORRUPTED'));
});

test('another key of the same name, swapped ids and a changed object open nothing', async () => {
  await store('k1');
  const impostor = { name: 'k1', kind: 'raw', key: randomBytes(32).toString('base64') };
  const wrong = createKeyring(parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys: [impostor] })));
  await expect(open(wrong)).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND', 'another one than the key that had this name'),
  );
  const swapped = { archiveKey, ids: { ...ids, backupId: uuid(3) } };
  await expect(openDataKey(t.storage, ring('k1'), swapped, signal)).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND'),
  );
  const path = join(t.path, keyObject('k1'));
  const text = await readFile(path, 'utf8');
  for (const [changed, code] of [
    [text.slice(0, -10), 'BACKUP_CORRUPTED'],
    ['', 'BACKUP_CORRUPTED'],
    ['x'.repeat(70_000), 'BACKUP_CORRUPTED'],
    [text.replace('"k1"', '"k2"'), 'BACKUP_CORRUPTED'],
    [text.replace('"v":1', '"v":2'), 'NOT_SUPPORTED'],
  ] as const) {
    await writeFile(path, changed);
    await expect(open(ring('k1', 'k2'))).rejects.toEqual(codeOf(code));
  }
});

test('one sound key object is enough; with none, a missing key is told before a damaged object', async () => {
  const dataKey = await store('k1');
  await also('k2', 'k1');
  await writeFile(join(t.path, keyObject('k1')), '{}');
  expect(await open(ring('k1', 'k2'))).toEqual(dataKey);
  await expect(open(ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND', 'the key k2, which'));
});

test('a destination that cannot be reached is not a missing key', async () => {
  await store('k1');
  await also('k2', 'k1');
  await writeFile(join(t.path, keyObject('k1')), '{}');
  const unreachable = new AppError('DESTINATION_UNREACHABLE', 'gone', { retryable: true });
  const cut: Storage = {
    ...t.storage,
    get: async (key, options) => {
      if (key === keyObject('k2')) throw unreachable;
      return t.storage.get(key, options);
    },
  };
  await expect(open(ring('k1', 'k2'), cut)).rejects.toBe(unreachable);
});

test('a reader that meets an exchange of keys finds the new one', async () => {
  const dataKey = await store('k1');
  let exchanged = false;
  const during: Storage = {
    ...t.storage,
    get: async (key, options) => {
      if (!exchanged) {
        exchanged = true;
        await rewrap('k2', ring('k1', 'k2'));
      }
      return t.storage.get(key, options);
    },
  };
  expect(await open(ring('k1', 'k2'), during)).toEqual(dataKey);
  expect(exchanged).toBe(true);
});

test('rewrapping leaves the same key under the new name alone; once more changes nothing', async () => {
  const dataKey = await store('k1');
  expect(await rewrap('k2', ring('k1', 'k2'))).toBe(true);
  expect(await t.keys('p')).toEqual([keyObject('k2')]);
  expect(await open(ring('k2'))).toEqual(dataKey);
  expect(await rewrap('k2', ring('k2'))).toBe(false);
  const both = await Promise.all([rewrap('k3', ring('k2', 'k3')), rewrap('k3', ring('k2', 'k3'))]);
  expect(both).toContain(true);
  expect(await t.keys('p')).toEqual([keyObject('k3')]);
  expect(await open(ring('k3'))).toEqual(dataKey);
});

test('a new key that is not there, or another key in its place, changes nothing', async () => {
  const dataKey = await store('k1');
  await expect(rewrap('k2', ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND'));
  await expect(rewrap('k2', ring('k2'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND', 'the key k1'));
  expect(await t.keys('p')).toEqual([keyObject('k1')]);
  const first = await readFile(join(t.path, keyObject('k1')));
  await t.storage.delete(keyObject('k1'), signal);
  await store('k2');
  await writeFile(join(t.path, keyObject('k1')), first);
  await expect(rewrap('k2', ring('k1', 'k2'))).rejects.toEqual(codeOf('BACKUP_CORRUPTED', 'different keys'));
  expect(await t.keys('p')).toEqual([keyObject('k1'), keyObject('k2')]);
  expect(await open(ring('k1'))).toEqual(dataKey);
});

test('only what was opened and holds the same key is removed', async () => {
  const dataKey = await store('k1');
  await also('k2', 'k1');
  // The keyring has no k2: its object may be somebody else's only way in.
  expect(await rewrap('k3', ring('k1', 'k3'))).toBe(true);
  expect(await t.keys('p')).toEqual([keyObject('k2'), keyObject('k3')]);
  expect(await open(ring('k2'))).toEqual(dataKey);
  await writeFile(join(t.path, keyObject('k1')), '{}');
  expect(await rewrap('k3', ring('k1', 'k2', 'k3'))).toBe(true);
  expect(await t.keys('p')).toEqual([keyObject('k1'), keyObject('k3')]);
});

test('the beginning of a new key object, left by a crash, is written again', async () => {
  const dataKey = await store('k1');
  await writeFile(join(t.path, keyObject('k2')), '{"v":1,"format":"tarfl');
  expect(await rewrap('k2', ring('k1', 'k2'))).toBe(true);
  expect(await t.keys('p')).toEqual([keyObject('k2')]);
  expect(await open(ring('k2'))).toEqual(dataKey);
});

test('whoever no longer owns the job deletes nothing', async () => {
  const dataKey = await store('k1');
  const lost = new Error('superseded');
  const asked = { ...place, to: 'k2', assertOwned: () => Promise.reject(lost) };
  await expect(rewrapDataKey(t.storage, ring('k1', 'k2'), asked, signal)).rejects.toBe(lost);
  expect(await t.keys('p')).toEqual([keyObject('k1'), keyObject('k2')]);
  expect(await open(ring('k1'))).toEqual(dataKey);
});

const killed = new Error('killed');

/** The destination of a process that dies at its nth call, before or after the call has done its work. */
function mortal(storage: Storage, nth: number, when: 'before' | 'after') {
  let calls = 0;
  const live = async <T>(call: () => Promise<T>): Promise<T> => {
    calls += 1;
    if (calls > nth || (calls === nth && when === 'before')) throw killed;
    const result = await call();
    if (calls === nth) throw killed;
    return result;
  };
  const dying: Storage = {
    ...storage,
    create: (key, body, asked) => live(() => storage.create(key, body, asked)),
    delete: (key, asked) => live(() => storage.delete(key, asked)),
    async get(key, options) {
      const stream = await storage.get(key, options);
      return live(async () => stream).catch((error: unknown) => {
        stream.destroy();
        throw error;
      });
    },
    async *list(prefix, asked) {
      await live(async () => undefined);
      yield* storage.list(prefix, asked);
    },
  };
  return { dying, survived: () => calls < nth };
}

test.each(['before', 'after'] as const)(
  'killed %s any call of the destination, the archive opens, and once more finishes it',
  async (when) => {
    const own = ring('k1', 'k2', 'k3');
    const left = new Set<string>();
    for (let nth = 1; ; nth += 1) {
      for (const key of await t.keys('p')) await t.storage.delete(key, signal);
      const dataKey = await store('k1');
      await also('k2', 'k1');
      const { dying, survived } = mortal(t.storage, nth, when);
      const ended = await rewrap('k3', own, dying).catch((error: unknown) => error);
      if (survived()) {
        expect(ended).toBe(true);
        break;
      }
      expect(ended).toBe(killed);
      left.add((await t.keys('p')).map((key) => archiveOfKeyObject(key) && key.slice(-7, -5)).join());
      expect(await open(own)).toEqual(dataKey);
      await rewrap('k3', own);
      expect(await t.keys('p')).toEqual([keyObject('k3')]);
      expect(await open(ring('k3'))).toEqual(dataKey);
    }
    const last = when === 'after' ? ['k3'] : [];
    expect([...left]).toEqual(['k1,k2', 'k1,k2,k3', 'k2,k3', ...last]);
  },
);
