import { expect, test } from '@jest/globals';
import type { Plan } from '@tarfleet/contracts';
import { SignJWT, UnsecuredJWT } from 'jose';
import { generateApiKeys } from './generate-keys.ts';
import { createPlanReader } from './plan-reader.ts';
import { createPlanSigner } from './plan-signer.ts';
import { importPrivate } from './raw-keys.ts';

const keys = generateApiKeys();
const [key] = keys.signing;
if (!key) throw new Error('no key');
const signer = createPlanSigner(key);
const reader = createPlanReader({ publicKeys: keys.signing });

const jobId = '01890000-0000-7000-8000-000000000001';
const plan: Plan = {
  v: 1,
  kind: 'server-test',
  jobId,
  pool: 'default',
  projectId: 1,
  requestId: 'req-1',
  issuedAt: new Date().toISOString(),
  server: { id: jobId, projectId: 1, name: 'here', kind: 'local', pool: 'default' },
};
const expected = { jobId, pool: 'default', kind: 'server-test' } as const;
const hour = 3_600_000;

/** A token as its maker likes it, under the right key unless another is given. */
function forge(
  claims: Record<string, unknown>,
  header: Record<string, unknown> = {},
  signWith: Parameters<SignJWT['sign']>[0] = importPrivate('Ed25519', key as NonNullable<typeof key>),
): Promise<string> {
  const seconds = Math.floor(Date.now() / 1000);
  const whole = { jti: jobId, aud: 'default', iat: seconds, exp: seconds + 60, kind: 'server-test', plan };
  return new SignJWT({ ...whole, ...claims })
    .setProtectedHeader({ alg: 'EdDSA', kid: key?.keyId ?? '', typ: 'tarfleet-plan+jwt', ...header })
    .sign(signWith);
}

test('a signed plan is read as it was', async () => {
  expect(await reader.read(await signer.sign(plan, hour), expected)).toEqual(plan);
  expect(await reader.read(await forge({}), expected)).toEqual(plan);
});

test('an expired plan says so', async () => {
  await expect(reader.read(await signer.sign(plan, -2000), expected)).rejects.toMatchObject({
    code: 'PLAN_EXPIRED',
    retryable: false,
  });
});

test('a plan for another job, pool or kind than the queue said is refused', async () => {
  const token = await signer.sign(plan, hour);
  const other = '01890000-0000-7000-8000-000000000002';
  for (const wrong of [{ jobId: other }, { pool: 'eu-1' }, { kind: 'delete' as const }]) {
    await expect(reader.read(token, { ...expected, ...wrong })).rejects.toMatchObject({
      code: 'PLAN_INVALID',
      message: expect.stringMatching(/but the queue gave it as/),
    });
  }
});

test('both the claims and the plan inside must be what the queue said', async () => {
  const other = '01890000-0000-7000-8000-000000000002';
  for (const inside of [{ jobId: other }, { pool: 'eu-1' }, { kind: 'delete' }]) {
    const token = await forge({ plan: { ...plan, ...inside } });
    await expect(reader.read(token, expected)).rejects.toMatchObject({ code: 'PLAN_INVALID' });
  }
  for (const outside of [{ jti: other }, { aud: 'eu-1' }, { kind: 'delete' }]) {
    await expect(reader.read(await forge(outside), expected)).rejects.toMatchObject({ code: 'PLAN_INVALID' });
  }
});

test('another version names both versions, whatever else is in the plan', async () => {
  const token = await forge({ plan: { v: 2, task: 'of a later release' } });
  await expect(reader.read(token, expected)).rejects.toMatchObject({
    code: 'PLAN_VERSION_UNKNOWN',
    message: expect.stringMatching(/version 2.*version 1/),
  });
});

test('faults of the schema are named by their path', async () => {
  const token = await forge({ plan: { ...plan, projectId: 'one', extra: true } });
  await expect(reader.read(token, expected)).rejects.toMatchObject({
    code: 'PLAN_INVALID',
    message: expect.stringContaining('/projectId'),
  });
  const bad = { ...plan, projectId: 0 };
  await expect(signer.sign(bad, hour)).rejects.toMatchObject({
    code: 'PLAN_INVALID',
    message: expect.stringContaining('/projectId'),
  });
});

test('claims that are missing are refused', async () => {
  for (const name of ['jti', 'aud', 'iat', 'exp', 'kind', 'plan']) {
    await expect(reader.read(await forge({ [name]: undefined }), expected)).rejects.toMatchObject({
      code: 'PLAN_INVALID',
    });
  }
});

test('an unsigned token, another algorithm and another kind of token are refused', async () => {
  const seconds = Math.floor(Date.now() / 1000);
  const whole = { jti: jobId, aud: 'default', iat: seconds, exp: seconds + 60, kind: 'server-test', plan };
  const unsigned = new UnsecuredJWT(whole).encode();
  const [, body] = unsigned.split('.');
  const none = `${Buffer.from(JSON.stringify({ alg: 'none', kid: key.keyId, typ: 'tarfleet-plan+jwt' })).toString('base64url')}.${body}.`;
  const symmetric = await forge({}, { alg: 'HS256' }, Buffer.from(key.publicKey, 'base64url'));
  const session = await forge({}, { typ: 'JWT' });
  const otherName = await forge({}, { alg: 'Ed25519' });
  for (const token of [unsigned, none, symmetric, session, otherName, '', 'a.b.c', '{}']) {
    await expect(reader.read(token, expected)).rejects.toMatchObject({ code: 'PLAN_INVALID' });
  }
});

test('a key that the worker does not know is named, and its id on another key does not help', async () => {
  const [stranger] = generateApiKeys().signing;
  if (!stranger) throw new Error('no key');
  await expect(
    reader.read(await createPlanSigner(stranger).sign(plan, hour), expected),
  ).rejects.toMatchObject({ code: 'PLAN_INVALID', message: expect.stringContaining(stranger.keyId) });
  const token = await forge({}, {}, importPrivate('Ed25519', stranger));
  await expect(reader.read(token, expected)).rejects.toMatchObject({ code: 'PLAN_INVALID' });
});

test('a retired signing key is still accepted while workers hold it', async () => {
  const next = generateApiKeys().signing;
  const both = createPlanReader({ publicKeys: [...next, ...keys.signing] });
  expect(await both.read(await signer.sign(plan, hour), expected)).toEqual(plan);
});

test('a token with any one character altered is refused', async () => {
  const token = await signer.sign(plan, hour);
  for (let at = 0; at < token.length; at += 1) {
    // The lowest bits of a base64 group's last character may carry nothing, so the highest one is turned.
    const digits = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';
    const value = digits.indexOf(token[at] ?? '');
    const other = value < 0 ? 'A' : digits[value ^ 32];
    const altered = token.slice(0, at) + other + token.slice(at + 1);
    await expect(reader.read(altered, expected)).rejects.toMatchObject({ code: 'PLAN_INVALID' });
  }
});
