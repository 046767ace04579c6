import { randomBytes } from 'node:crypto';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createKeyring, type Keyring } from './keyring.ts';
import { newKeyringFile, parseKeyringFile, recoveryKeyOf } from './keyring-file.ts';
import { passphraseKey } from './passphrase-key.ts';
import { rawKey } from './raw-key.ts';
import { parseRecoveryKey } from './recovery-key.ts';

const ids = { backupId: 'backup-1', artifactId: 'artifact-1' };
const key = randomBytes(32);
const base64 = key.toString('base64');
const ring = (content: object): Keyring => createKeyring(parseKeyringFile(JSON.stringify(content)));

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-keyring-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('a new keyring has one key; as it is written down it opens the same', async () => {
  const file = newKeyringFile(new Date('2026-11-21T10:00:00Z'));
  const name = file.primary ?? '';
  expect(name).toMatch(/^key-2026-11-21-[0-9a-f]{6}$/);
  const keyring = ring(file);
  expect(keyring).toMatchObject({ names: [name], primary: name });
  const recoveryKey = recoveryKeyOf(JSON.stringify(file));
  const recovered = ring({ v: 1, primary: name, keys: [{ kind: 'recovery', recoveryKey }] });
  const dataKey = randomBytes(32);
  expect(await recovered.unwrap(await keyring.wrap(name, dataKey, ids), ids)).toEqual(dataKey);
  expect(newKeyringFile().keys).not.toEqual(file.keys);
});

test('what does not stand in the keyring as 32 bytes cannot be written down', () => {
  const passphrase = { name: 'p', kind: 'passphrase', passphrase: 'correct horse battery staple' };
  const raw = { name: 'a', kind: 'raw', key: base64 };
  const of = (primary: string | null) =>
    recoveryKeyOf(JSON.stringify({ v: 1, primary, keys: [raw, passphrase] }));
  expect([of('p'), of(null)]).toEqual([null, null]);
  expect(parseRecoveryKey(of('a') ?? '')).toEqual({ name: 'a', key });
});

test('each kind of key is taken, in the order of the file', () => {
  const keyring = ring({
    v: 1,
    primary: 'b',
    keys: [
      { name: 'a', kind: 'raw', key: base64 },
      { name: 'b', kind: 'passphrase', passphrase: 'correct horse battery staple' },
      { name: 'c', kind: 'aws-kms', keyId: 'alias/tarfleet', region: 'eu-central-1' },
    ],
  });
  expect(keyring.names).toEqual(['a', 'b', 'c']);
  expect(keyring.primary).toBe('b');
  expect([keyring.has('c'), keyring.has('d')]).toEqual([true, false]);
  expect(ring({ v: 1, primary: null, keys: [] })).toMatchObject({ names: [], primary: null });
});

test('a key may lie in a file of its own, as bytes, in base64 or in hex', async () => {
  const dataKey = randomBytes(32);
  const wrapped = await createKeyring({ keys: [rawKey('k', key)], primary: null }).wrap('k', dataKey, ids);
  const path = join(dir, 'key');
  const keyring = () => ring({ v: 1, primary: 'k', keys: [{ name: 'k', kind: 'file', path }] });
  for (const content of [key, `${base64}\n`, base64, key.toString('hex'), `${key.toString('hex')}\r\n`]) {
    await writeFile(path, content);
    expect(await keyring().unwrap(wrapped, ids)).toEqual(dataKey);
  }
  for (const content of ['', 'canary', key.subarray(1), `${base64}${base64}`]) {
    await writeFile(path, content);
    expect(keyring).toThrow(`The file ${path} of the key k (KEYRING_FILE) holds no key`);
  }
  await rm(path);
  expect(keyring).toThrow(`The file ${path} of the key k (KEYRING_FILE) cannot be read: ENOENT`);
});

test('a keyring that is not usable names the variable and the fault, and no key', () => {
  const good = { name: 'a', kind: 'raw', key: base64 };
  const file = (change: object) => JSON.stringify({ v: 1, primary: 'a', keys: [good], ...change });
  for (const [text, says] of [
    [`{"v":1,"keys":"${base64}"`, 'is not JSON'],
    [file({ v: 2 }), 'version 2'],
    [file({ v: undefined }), 'v'],
    [file({ primary: undefined }), 'primary'],
    [file({ primary: 'b' }), 'no key of the name b'],
    [file({ keys: [{ ...good, key: base64.slice(4) }] }), '/keys/0'],
    [file({ keys: [{ ...good, key: `${base64.slice(0, 42)}B=` }] }), '/keys/0'],
    [file({ keys: [{ ...good, more: 1 }] }), '/keys/0'],
    [file({ keys: [{ ...good, name: 'A b' }] }), '/keys/0'],
    [file({ keys: [{ ...good, kind: 'rot13' }] }), '/keys/0'],
    [file({ keys: [{ name: 'a', kind: 'file', path: 'relative' }] }), '/keys/0'],
    [file({ keys: [{ name: 'a', kind: 'passphrase', passphrase: base64.slice(0, 11) }] }), '12 characters'],
    [file({ keys: [good, { kind: 'recovery', recoveryKey: `TARFLEET-1:a:${base64}` }] }), 'recovery key'],
    ['null', 'not usable'],
  ] as const) {
    let message = '';
    try {
      parseKeyringFile(text);
    } catch (error) {
      expect(error).toMatchObject({ name: 'EnvError' });
      message = (error as Error).message;
    }
    expect(message).toContain('KEYRING_FILE');
    expect(message).toContain(says);
    expect(message).not.toContain(base64.slice(0, 11));
  }
});

test('a keyring refuses two keys of one name, and a primary key that it has not', () => {
  const passphrase = passphraseKey('correct horse battery staple');
  const same = { keys: [rawKey('passphrase', key), passphrase], primary: null };
  expect(() => createKeyring(same)).toThrow(/KEYRING_FILE.*two keys of the name passphrase/);
  expect(() => createKeyring({ keys: [passphrase], primary: 'x' })).toThrow(/primary key x is not in it/);
});

test('a key that is not in the keyring is named, with those that are', async () => {
  const keyring = createKeyring({ keys: [rawKey('a', key), rawKey('b', key)], primary: 'a' });
  const missing = expect.objectContaining({
    code: 'ENCRYPTION_KEY_NOT_FOUND',
    message: expect.stringMatching(/The key c is not in .*KEYRING_FILE.*a, b/),
  });
  await expect(keyring.wrap('c', randomBytes(32), ids)).rejects.toEqual(missing);
  const wrapped = await keyring.wrap('a', randomBytes(32), ids);
  await expect(keyring.unwrap({ ...wrapped, keyName: 'c' }, ids)).rejects.toEqual(missing);
  const reason = new Error('stop');
  await expect(keyring.unwrap(wrapped, ids, AbortSignal.abort(reason))).rejects.toBe(reason);
  await expect(keyring.wrap('a', randomBytes(32), ids, AbortSignal.abort(reason))).rejects.toBe(reason);
});
