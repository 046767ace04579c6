import { randomBytes } from 'node:crypto';
import { readFile, writeFile } from 'node:fs/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import {
  archiveOfKeyObject,
  createKeyring,
  newKeyringFile,
  openDataKey,
  parseKeyringFile,
  recoveryKeyOf,
  storeDataKey,
} from '@tarfleet/vault';
import { uuid } from '../testing.ts';
import { archiveKey, keyObject, openKeyStore, place, ring } from './testing-data-keys.ts';

const { signal } = new AbortController();
const codeOf = (code: string, message = '') =>
  expect.objectContaining({ code, message: expect.stringContaining(message) });

let t: Awaited<ReturnType<typeof openKeyStore>>;
beforeEach(async () => {
  t = await openKeyStore();
});
afterEach(() => t.close());

test('an archive has a key of its own, which lies beside it wrapped and opens again', async () => {
  const dataKey = await t.store('k1');
  expect(dataKey).toHaveLength(32);
  expect(await t.keys('p')).toEqual([keyObject('k1')]);
  expect(archiveOfKeyObject(keyObject('k1'))).toBe(archiveKey);
  expect(archiveOfKeyObject(archiveKey)).toBeNull();
  const text = await readFile(t.pathOf('k1'), 'utf8');
  expect(text).not.toContain(dataKey.toString('base64'));
  expect(JSON.parse(text)).toMatchObject({ v: 1, format: 'tarfleet-key', keyName: 'k1', kind: 'raw' });
  expect(await t.open(ring('k2', 'k1'))).toEqual(dataKey);
});

test('a keyring written down opens what the keyring wrapped', async () => {
  const file = JSON.stringify(newKeyringFile());
  const { keys: made, primary } = parseKeyringFile(file);
  const dataKey = await t.store(primary ?? '', createKeyring({ keys: made, primary }));
  const written = { v: 1, primary: null, keys: [{ kind: 'recovery', recoveryKey: recoveryKeyOf(file) }] };
  expect(await t.open(createKeyring(parseKeyringFile(JSON.stringify(written))))).toEqual(dataKey);
});

test('nothing is stored under a name that would not be found again, nor over what is there', async () => {
  const wrong = { ...place, archiveKey: archiveKey.replace('.enc', ''), keyName: 'k1' };
  await expect(storeDataKey(t.storage, ring('k1'), wrong, signal)).rejects.toThrow(TypeError);
  await expect(t.store('k2', ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND'));
  expect(await t.keys('p')).toEqual([]);
  const dataKey = await t.store('k1');
  await expect(t.store('k1')).rejects.toEqual(codeOf('OBJECT_EXISTS'));
  expect(await t.open(ring('k1'))).toEqual(dataKey);
});

test('a key that is missing is named; an archive without any is corrupted', async () => {
  await expect(t.open(ring('k1'))).rejects.toEqual(codeOf('BACKUP_CORRUPTED', 'is gone'));
  await t.store('k1');
  await t.also('k2', 'k1');
  await expect(t.open(ring('k3'))).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND', "the key k1 or k2, which this worker's keyring (KEYRING_FILE)"),
  );
  // The folder may hold other archives' keys, of a name that begins alike too.
  const other = { ...place, archiveKey: archiveKey.replace('1-abc', '1-abcd') };
  await expect(openDataKey(t.storage, ring('k1'), other, signal)).rejects.toEqual(codeOf('BACKUP_CORRUPTED'));
});

test('another key of the same name, swapped ids and a changed object open nothing', async () => {
  await t.store('k1');
  const impostor = { name: 'k1', kind: 'raw', key: randomBytes(32).toString('base64') };
  const wrong = createKeyring(parseKeyringFile(JSON.stringify({ v: 1, primary: null, keys: [impostor] })));
  await expect(t.open(wrong)).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND', 'another one than the key that had this name'),
  );
  const swapped = { archiveKey, ids: { ...place.ids, backupId: uuid(3) } };
  await expect(openDataKey(t.storage, ring('k1'), swapped, signal)).rejects.toEqual(
    codeOf('ENCRYPTION_KEY_NOT_FOUND'),
  );
  const path = t.pathOf('k1');
  const text = await readFile(path, 'utf8');
  for (const [changed, code] of [
    [text.slice(0, -10), 'BACKUP_CORRUPTED'],
    ['', 'BACKUP_CORRUPTED'],
    ['x'.repeat(70_000), 'BACKUP_CORRUPTED'],
    [text.replace('"k1"', '"k2"'), 'BACKUP_CORRUPTED'],
    [text.replace('"v":1', '"v":2'), 'NOT_SUPPORTED'],
  ] as const) {
    await writeFile(path, changed);
    await expect(t.open(ring('k1', 'k2'))).rejects.toEqual(codeOf(code));
  }
});

test('one sound key object is enough; with none, a missing key is told before a damaged object', async () => {
  const dataKey = await t.store('k1');
  await t.also('k2', 'k1');
  await writeFile(t.pathOf('k1'), '{}');
  expect(await t.open(ring('k1', 'k2'))).toEqual(dataKey);
  await expect(t.open(ring('k1'))).rejects.toEqual(codeOf('ENCRYPTION_KEY_NOT_FOUND', 'the key k2, which'));
});

test('a destination that cannot be reached is not a missing key', async () => {
  await t.store('k1');
  await t.also('k2', 'k1');
  await writeFile(t.pathOf('k1'), '{}');
  const unreachable = new AppError('DESTINATION_UNREACHABLE', 'gone', { retryable: true });
  const cut: Storage = {
    ...t.storage,
    get: async (key, options) => {
      if (key.startsWith(`${archiveKey}.key.k2.`)) throw unreachable;
      return t.storage.get(key, options);
    },
  };
  await expect(t.open(ring('k1', 'k2'), cut)).rejects.toBe(unreachable);
});

test('a reader that meets an exchange of keys finds the new one', async () => {
  const dataKey = await t.store('k1');
  let exchanged = false;
  const during: Storage = {
    ...t.storage,
    get: async (key, options) => {
      if (!exchanged) {
        exchanged = true;
        await t.rewrap('k2', ring('k1', 'k2'));
      }
      return t.storage.get(key, options);
    },
  };
  expect(await t.open(ring('k1', 'k2'), during)).toEqual(dataKey);
  expect(exchanged).toBe(true);
});
