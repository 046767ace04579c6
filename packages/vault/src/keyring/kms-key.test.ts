import { randomBytes } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { createKeyring } from './keyring.ts';
import { kmsKey } from './kms-key.ts';
import { startTestKms, type TestKms } from './testing-kms.ts';
import { parseWrappedKey } from './wrapped-key.ts';

const ids = { backupId: 'backup-1', artifactId: 'artifact-1' };
const dataKey = randomBytes(32);
const SETTINGS = { AWS_ACCESS_KEY_ID: 'AKTEST', AWS_SECRET_ACCESS_KEY: 'canary-7781', AWS_SESSION_TOKEN: '' };

const before = { ...process.env };
let kms: TestKms;
beforeAll(() => {
  Object.assign(process.env, SETTINGS);
});
afterAll(() => {
  for (const name of Object.keys(SETTINGS)) {
    if (before[name] === undefined) delete process.env[name];
    else process.env[name] = before[name];
  }
});
beforeEach(async () => {
  kms = await startTestKms();
});
afterEach(() => kms.stop());

const open = (keyId = kms.addKey(), name = 'in-kms') => ({
  keyId,
  key: kmsKey({ name, keyId, region: 'eu-central-1', endpoint: kms.endpoint }),
});

test('what KMS wraps it unwraps, for the same backup and artifact alone', async () => {
  const { key } = open();
  const wrapped = parseWrappedKey(JSON.stringify(await key.wrap(dataKey, ids)));
  expect(wrapped).toEqual({
    v: 1,
    format: 'tarfleet-key',
    keyName: 'in-kms',
    kind: 'aws-kms',
    ciphertext: expect.any(String),
  });
  expect(await key.unwrap(wrapped, ids)).toEqual(dataKey);
  expect(kms.contexts[1]).toEqual({
    tarfleet_key: 'in-kms',
    backup_id: 'backup-1',
    artifact_id: 'artifact-1',
  });
  expect(await key.unwrap(wrapped, { ...ids, backupId: 'backup-2' })).toBeNull();
  expect(await key.unwrap(wrapped, { ...ids, artifactId: 'artifact-2' })).toBeNull();
});

test('another KMS key, a changed blob, another name and another kind open nothing', async () => {
  const { key, keyId } = open();
  const wrapped = await key.wrap(dataKey, ids);
  expect(await open().key.unwrap(wrapped, ids)).toBeNull();
  expect(await open(keyId, 'other').key.unwrap({ ...wrapped, keyName: 'other' }, ids)).toBeNull();
  expect(await key.unwrap({ ...wrapped, keyName: 'other' }, ids)).toBeNull();
  const blob = Buffer.from(wrapped.ciphertext, 'base64');
  for (let at = 0; at < blob.length; at += 7) {
    const changed = Buffer.from(blob);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(
      await key.unwrap({ ...wrapped, ciphertext: changed.toString('base64') } as typeof wrapped, ids),
    ).toBeNull();
  }
  const short = { ...wrapped, ciphertext: blob.subarray(0, -1).toString('base64') } as typeof wrapped;
  expect(await key.unwrap(short, ids)).toBeNull();
});

test('what is no key of 32 bytes is none', async () => {
  const { key } = open();
  expect(await key.unwrap(await key.wrap(randomBytes(31), ids), ids)).toBeNull();
});

test('a refusal is final and says which; KMS out of reach is worth another try', async () => {
  const { key, keyId } = open();
  const keyring = createKeyring({ keys: [key], primary: null });
  const wrapped = await keyring.wrap('in-kms', dataKey, ids);
  const bothWays = async (error: object): Promise<void> => {
    await expect(keyring.wrap('in-kms', dataKey, ids)).rejects.toMatchObject(error);
    await expect(keyring.unwrap(wrapped, ids)).rejects.toMatchObject(error);
  };
  const refused = (name: string) => ({
    ...{ code: 'ENCRYPTION_KEY_NOT_FOUND', retryable: false },
    message: expect.stringContaining(`refuses the key in-kms (${name})`),
  });
  kms.answer({ status: 400, type: 'AccessDeniedException' });
  await bothWays(refused('AccessDeniedException'));
  for (const [status, type] of [
    [500, 'KMSInternalException'],
    [400, 'ThrottlingException'],
  ] as const) {
    kms.answer({ status, type });
    await bothWays({ code: 'UNAVAILABLE', retryable: true, message: expect.stringContaining(type) });
  }
  kms.answer(null);
  kms.disableKey(keyId);
  await bothWays(refused('DisabledException'));
  await kms.stop();
  await bothWays({ code: 'UNAVAILABLE', retryable: true });
  kms = await startTestKms();
});

test('an abort ends the wait, with its own reason', async () => {
  const { key } = open();
  const wrapped = await key.wrap(dataKey, ids);
  kms.answer('never');
  const reason = new Error('stop');
  for (const call of [
    (signal: AbortSignal) => key.wrap(dataKey, ids, signal),
    (signal: AbortSignal) => key.unwrap(wrapped, ids, signal),
  ]) {
    const abort = new AbortController();
    const asked = kms.contexts.length;
    const ended = expect(call(abort.signal)).rejects.toBe(reason);
    while (kms.contexts.length === asked) await new Promise((resolve) => setTimeout(resolve, 5));
    abort.abort(reason);
    await ended;
  }
});
