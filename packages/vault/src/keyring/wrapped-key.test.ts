import { createDecipheriv, randomBytes } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { createKeyring } from './keyring.ts';
import { rawKey } from './raw-key.ts';
import { parseWrappedKey } from './wrapped-key.ts';

const ids = {
  backupId: '0190f6c0-0000-7000-8000-000000000001',
  artifactId: '0190f6c0-0000-7000-8000-000000000002',
};
const wrapping = randomBytes(32);
const dataKey = randomBytes(32);
const keyring = createKeyring({
  keys: [rawKey('main', wrapping), rawKey('other', randomBytes(32))],
  primary: 'main',
});
const wrap = async (): Promise<string> => `${JSON.stringify(await keyring.wrap('main', dataKey, ids))}\n`;

const kdf = { name: 'scrypt', N: 2 ** 17, r: 8, p: 1, salt: Buffer.alloc(16).toString('base64') };
const sealed = {
  nonce: Buffer.alloc(12).toString('base64'),
  ciphertext: Buffer.alloc(48).toString('base64'),
};
const withPassphrase = { v: 1, format: 'tarfleet-key', keyName: 'main', kind: 'passphrase', kdf, ...sealed };
const refusal = (value: unknown) => () => parseWrappedKey(JSON.stringify(value));
const corrupted = expect.objectContaining({ code: 'BACKUP_CORRUPTED' });

test('the form is that of the documents, for whoever writes a reader', async () => {
  const wrapped = JSON.parse(await wrap());
  expect(Object.keys(wrapped)).toEqual(['v', 'format', 'keyName', 'kind', 'nonce', 'ciphertext']);
  const bytes = Buffer.from(wrapped.ciphertext, 'base64');
  const decipher = createDecipheriv('aes-256-gcm', wrapping, Buffer.from(wrapped.nonce, 'base64'));
  decipher.setAAD(Buffer.from(`["tarfleet-key",1,"main","${ids.backupId}","${ids.artifactId}"]`));
  decipher.setAuthTag(bytes.subarray(32));
  expect(Buffer.concat([decipher.update(bytes.subarray(0, 32)), decipher.final()])).toEqual(dataKey);
});

test('any one bit changed, and any end cut off, opens nothing', async () => {
  const bytes = Buffer.from(await wrap());
  expect(await keyring.unwrap(parseWrappedKey(bytes.toString()), ids)).toEqual(dataKey);
  const opened: string[] = [];
  const attempt = async (changed: Buffer): Promise<void> => {
    const text = changed.toString('utf8');
    await Promise.resolve()
      .then(() => keyring.unwrap(parseWrappedKey(text), ids))
      .then(
        () => opened.push(text),
        (error: unknown) =>
          expect(['BACKUP_CORRUPTED', 'ENCRYPTION_KEY_NOT_FOUND', 'NOT_SUPPORTED']).toContain(
            (error as { code?: string }).code,
          ),
      );
  };
  for (let bit = 0; bit < bytes.length * 8; bit += 1) {
    const changed = Buffer.from(bytes);
    changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7));
    await attempt(changed);
  }
  // The last line break may go: what is before it is whole.
  for (let length = 0; length < bytes.length - 1; length += 1) await attempt(bytes.subarray(0, length));
  expect(opened).toEqual([]);
});

test('it opens for the artifact that it was made for alone', async () => {
  const wrapped = parseWrappedKey(await wrap());
  const refused = expect.objectContaining({
    code: 'ENCRYPTION_KEY_NOT_FOUND',
    message: expect.stringContaining('another one than the key that had this name'),
  });
  for (const swapped of [
    { backupId: ids.artifactId, artifactId: ids.backupId },
    { ...ids, backupId: ids.artifactId },
    { ...ids, artifactId: ids.backupId },
  ]) {
    await expect(keyring.unwrap(wrapped, swapped)).rejects.toEqual(refused);
  }
  await expect(keyring.unwrap({ ...wrapped, keyName: 'other' }, ids)).rejects.toEqual(refused);
});

test('no two wrapped keys are the same', async () => {
  expect(await wrap()).not.toBe(await wrap());
});

test('a later version says so; anything else is damaged', () => {
  expect(refusal({ ...withPassphrase, v: 2 })).toThrow(
    expect.objectContaining({ code: 'NOT_SUPPORTED', message: expect.stringContaining('version 2') }),
  );
  expect(parseWrappedKey(JSON.stringify(withPassphrase))).toEqual(withPassphrase);
  for (const wrong of [
    null,
    [],
    {},
    { ...withPassphrase, v: 0 },
    { ...withPassphrase, v: '1' },
    { ...withPassphrase, format: 'other' },
    { ...withPassphrase, more: 1 },
    { ...withPassphrase, kind: 'raw' },
    { ...withPassphrase, keyName: 'Main' },
    { ...withPassphrase, keyName: '../main' },
    { ...withPassphrase, nonce: sealed.ciphertext },
    { ...withPassphrase, ciphertext: sealed.nonce },
    { v: 1, format: 'tarfleet-key', keyName: 'main', kind: 'aws-kms', ciphertext: 'AB==' },
    { v: 1, format: 'tarfleet-key', keyName: 'main', kind: 'aws-kms', ciphertext: 'A' },
    { v: 1, format: 'tarfleet-key', keyName: 'main', kind: 'aws-kms', ciphertext: '' },
  ]) {
    expect(refusal(wrong)).toThrow(corrupted);
  }
  for (const text of ['', '{', `${JSON.stringify(withPassphrase)}{}`]) {
    expect(() => parseWrappedKey(text)).toThrow(corrupted);
  }
});

test('a cost of scrypt that is out of bounds is refused before anything is derived', () => {
  for (const wrong of [
    { N: 2 ** 21 },
    { N: 2 ** 40 },
    { N: 2 ** 13 },
    { N: 2 ** 17 + 1 },
    { N: 100_000 },
    { N: -1 },
    { N: 2 ** 17 + 0.5 },
    { N: '131072' },
    { r: 9 },
    { r: 2 ** 20 },
    { r: 0 },
    { p: 0 },
    { p: 5 },
    { p: 2 ** 30 },
    { name: 'pbkdf2' },
    { salt: '' },
    { salt: Buffer.alloc(8).toString('base64') },
    // One more spelling of the same salt.
    { salt: 'AAAAAAAAAAAAAAAAAAAAAB==' },
    { dkLen: 32 },
  ]) {
    expect(refusal({ ...withPassphrase, kdf: { ...kdf, ...wrong } })).toThrow(corrupted);
  }
});
