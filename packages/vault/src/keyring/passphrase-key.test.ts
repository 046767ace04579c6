import { createCipheriv, randomBytes, scryptSync } from 'node:crypto';
import { expect, test } from '@jest/globals';
import { passphraseKey } from './passphrase-key.ts';
import { parseWrappedKey, type WrappedKey } from './wrapped-key.ts';

const ids = { backupId: 'backup-1', artifactId: 'artifact-1' };
const dataKey = randomBytes(32);
const PASSPHRASE = 'correct horse battery staple';
type ByPassphrase = Extract<WrappedKey, { kind: 'passphrase' }>;
const wrap = async (passphrase = PASSPHRASE) =>
  (await passphraseKey(passphrase).wrap(dataKey, ids)) as ByPassphrase;

test('whoever knows the passphrase opens it; nobody else does', async () => {
  const wrapped = parseWrappedKey(JSON.stringify(await wrap()));
  expect(wrapped).toMatchObject({
    ...{ keyName: 'passphrase', kind: 'passphrase' },
    kdf: { name: 'scrypt', N: 131_072, r: 8, p: 1, salt: expect.stringMatching(/^.{22}==$/) },
  });
  expect(await passphraseKey(PASSPHRASE).unwrap(wrapped, ids)).toEqual(dataKey);
  expect(await passphraseKey(`${PASSPHRASE} `).unwrap(wrapped, ids)).toBeNull();
  expect(await passphraseKey(PASSPHRASE, 'other').unwrap(wrapped, ids)).toBeNull();
});

test('swapped ids, and any change of salt, cost, nonce or ciphertext, open nothing', async () => {
  const key = passphraseKey(PASSPHRASE);
  const wrapped = (await key.wrap(dataKey, ids)) as ByPassphrase;
  expect(await key.unwrap(wrapped, { backupId: ids.artifactId, artifactId: ids.backupId })).toBeNull();
  const flip = (text: string, at: number): string => {
    const bytes = Buffer.from(text, 'base64');
    bytes[at] = (bytes[at] ?? 0) ^ 0x80;
    return bytes.toString('base64');
  };
  for (let at = 0; at < 12; at += 1)
    expect(await key.unwrap({ ...wrapped, nonce: flip(wrapped.nonce, at) }, ids)).toBeNull();
  for (let at = 0; at < 48; at += 1)
    expect(await key.unwrap({ ...wrapped, ciphertext: flip(wrapped.ciphertext, at) }, ids)).toBeNull();
  for (const change of [
    { salt: flip(wrapped.kdf.salt, 0) },
    { salt: flip(wrapped.kdf.salt, 15) },
    { N: 2 ** 16 },
    { p: 2 },
  ]) {
    expect(await key.unwrap({ ...wrapped, kdf: { ...wrapped.kdf, ...change } }, ids)).toBeNull();
  }
  expect(await key.unwrap(wrapped, ids)).toEqual(dataKey);
});

test('each data key has a salt of its own, and many at once are all right', async () => {
  const key = passphraseKey(PASSPHRASE);
  const keys = [1, 2, 3].map(() => randomBytes(32));
  const wrapped = (await Promise.all(keys.map((one) => key.wrap(one, ids)))) as ByPassphrase[];
  expect(new Set(wrapped.map(({ kdf }) => kdf.salt)).size).toBe(3);
  const reader = passphraseKey(PASSPHRASE);
  const opened = await Promise.all([...wrapped, ...wrapped].map((one) => reader.unwrap(one, ids)));
  expect(opened).toEqual([...keys, ...keys]);
});

test('a passphrase is the same however its letters are composed', async () => {
  const wrapped = await wrap('Schl\u00fcssel f\u00fcr alles');
  expect(await passphraseKey('Schlu\u0308ssel fu\u0308r alles').unwrap(wrapped, ids)).toEqual(dataKey);
});

test('what another cost of scrypt made within the bounds opens too', async () => {
  const salt = randomBytes(16);
  const nonce = randomBytes(12);
  const cost = { N: 2 ** 15, r: 8, p: 3 } as const;
  const wrapping = scryptSync(PASSPHRASE, salt, 32, { ...cost, maxmem: 2 ** 30 });
  const cipher = createCipheriv('aes-256-gcm', wrapping, nonce);
  cipher.setAAD(Buffer.from('["tarfleet-key",1,"passphrase","backup-1","artifact-1"]'));
  const ciphertext = Buffer.concat([cipher.update(dataKey), cipher.final(), cipher.getAuthTag()]);
  const wrapped = parseWrappedKey(
    JSON.stringify({
      ...{ v: 1, format: 'tarfleet-key', keyName: 'passphrase', kind: 'passphrase' },
      kdf: { name: 'scrypt', ...cost, salt: salt.toString('base64') },
      ...{ nonce: nonce.toString('base64'), ciphertext: ciphertext.toString('base64') },
    }),
  );
  expect(await passphraseKey(PASSPHRASE).unwrap(wrapped, ids)).toEqual(dataKey);
});

test('a short passphrase is refused without being repeated', () => {
  expect(() => passphraseKey('canary-9931')).toThrow(
    expect.objectContaining({
      name: 'EnvError',
      message: expect.stringMatching(/^(?!.*canary).*BACKUP_ENCRYPTION_PASSPHRASE.*at least 12 characters/s),
    }),
  );
  // Eleven characters, of more than twelve bytes and code units.
  expect(() => passphraseKey('\u{1f511}'.repeat(11))).toThrow('at least 12');
  expect(passphraseKey('twelve chars').name).toBe('passphrase');
});
