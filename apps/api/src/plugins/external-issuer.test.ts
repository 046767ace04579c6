import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { exportJWK, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';

const ISSUER = 'https://issuer.example.com';
const AUDIENCE = 'tarfleet-api';

let t: TestApp;
let keys: Awaited<ReturnType<typeof generateKeyPair>>;
let broken = false;
const jwks = createServer((_request, response) => {
  void exportJWK(keys.publicKey).then((jwk) => {
    response.statusCode = broken ? 500 : 200;
    response.end(JSON.stringify({ keys: [{ ...jwk, kid: 'k1', alg: 'ES256', use: 'sig' }] }));
  });
});

beforeAll(async () => {
  keys = await generateKeyPair('ES256', { extractable: true });
  await new Promise<void>((resolve) => jwks.listen(0, '127.0.0.1', resolve));
  t = await buildTestApp({ env: env() });
});
afterAll(async () => {
  await t.close();
  await new Promise((resolve) => jwks.close(resolve));
});

const env = () => ({
  JWKS_URL: `http://127.0.0.1:${(jwks.address() as AddressInfo).port}/keys`,
  JWT_ISSUER: ISSUER,
  JWT_AUDIENCE: AUDIENCE,
});

function sign(claims: Record<string, unknown>, change: (jwt: SignJWT) => SignJWT = (jwt) => jwt) {
  const jwt = new SignJWT(claims)
    .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
    .setIssuer(ISSUER)
    .setAudience(AUDIENCE)
    .setExpirationTime('5m');
  return change(jwt).sign(keys.privateKey);
}
const me = async (token: string) => t.ask('GET', '/api/auth/me', { token });

test('a token of the other issuer stands for the user with its e-mail address', async () => {
  const user = await t.user('operator', 'someone@example.com');
  const answer = await me(await sign({ email: 'Someone@Example.com', email_verified: true }));
  expect(answer.json().data).toMatchObject({ id: user.id, role: 'operator', via: 'external' });
  await t.db.users.update(user.id, { disabledAt: new Date() });
  expect((await me(await sign({ email: 'someone@example.com' }))).statusCode).toBe(401);
});

test('what was not meant for us, has expired, or names nobody is refused', async () => {
  await t.user('admin', 'boss@example.com');
  const email = 'boss@example.com';
  const other = await generateKeyPair('ES256');
  const spki = new TextEncoder().encode(await exportSPKI(keys.publicKey));
  const tokens = {
    audience: await sign({ email }, (jwt) => jwt.setAudience('another')),
    issuer: await sign({ email }, (jwt) => jwt.setIssuer('https://another.example.com')),
    expired: await sign({ email }, (jwt) => jwt.setExpirationTime('-1m')),
    unverified: await sign({ email, email_verified: false }),
    nobody: await sign({ email: 'nobody@example.com' }),
    noEmail: await sign({ sub: email }),
    otherKey: await new SignJWT({ email })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setExpirationTime('5m')
      .sign(other.privateKey),
    publicKeyAsSecret: await new SignJWT({ email })
      .setProtectedHeader({ alg: 'HS256', kid: 'k1' })
      .setIssuer(ISSUER)
      .setAudience(AUDIENCE)
      .setExpirationTime('5m')
      .sign(spki),
  };
  for (const [name, token] of Object.entries(tokens)) {
    const answer = await me(token);
    expect([name, answer.statusCode, answer.json().code]).toEqual([name, 401, 'UNAUTHENTICATED']);
  }
  expect((await me(await sign({ email }))).statusCode).toBe(200);
});

test('keys that cannot be fetched are our trouble, not the token’s', async () => {
  broken = true;
  const own = await buildTestApp({ env: env() });
  try {
    const token = await sign({ email: 'boss@example.com' });
    const answer = await own.ask('GET', '/api/auth/me', { token });
    expect([answer.statusCode, answer.json().code]).toEqual([503, 'UNAVAILABLE']);
    expect(answer.headers['retry-after']).toBeTruthy();
  } finally {
    broken = false;
    await own.close();
  }
});
