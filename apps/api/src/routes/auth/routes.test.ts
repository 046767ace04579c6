import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { SignJWT } from 'jose';
import { createSessionTokens } from '../../plugins/session-tokens.ts';
import { buildTestApp, PASSWORD, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
beforeAll(async () => {
  t = await buildTestApp();
});
afterAll(() => t.close());

const login = (body: unknown, headers: Record<string, string> = {}) =>
  t.ask('POST', '/api/auth/login', { body, headers });

test('a login opens a session, in a token and in a cookie', async () => {
  const user = await t.user('operator');
  const answer = await login({ email: user.email.toUpperCase(), password: PASSWORD });
  expect(answer.statusCode).toBe(200);
  const { data } = answer.json();
  expect(data.user).toEqual({ id: user.id, email: user.email, role: 'operator' });
  const hours = (Date.parse(data.expires_at) - Date.now()) / 3_600_000;
  expect(hours).toBeGreaterThan(11.9);
  expect(hours).toBeLessThanOrEqual(12);
  const cookie = String(answer.headers['set-cookie']);
  expect(cookie).toContain(`tarfleet_session=${data.token}`);
  expect(cookie).toMatch(/HttpOnly/);
  expect(cookie).toMatch(/SameSite=Strict/);
  expect(cookie).not.toMatch(/Secure/);

  const byToken = await t.ask('GET', '/api/auth/me', { token: data.token });
  expect(byToken.json().data).toMatchObject({ id: user.id, role: 'operator', via: 'session', projects: [] });
  const byCookie = await t.ask('GET', '/api/auth/me', { cookie: `tarfleet_session=${data.token}` });
  expect(byCookie.json().data.via).toBe('cookie');
});

test('unknown, disabled and wrong are told apart by nobody', async () => {
  const user = await t.user('viewer');
  const disabled = await t.user('viewer');
  await t.db.users.update(disabled.id, { disabledAt: new Date() });
  const answers = await Promise.all([
    login({ email: user.email, password: 'not the password' }),
    login({ email: 'nobody@example.com', password: PASSWORD }),
    login({ email: disabled.email, password: PASSWORD }),
  ]);
  for (const answer of answers) {
    expect(answer.statusCode).toBe(401);
    expect(answer.json()).toEqual({
      success: false,
      code: 'INVALID_CREDENTIALS',
      error: 'Unauthorized',
      message: 'E-mail address or password is wrong.',
    });
    expect(answer.headers['set-cookie']).toBeUndefined();
  }
});

test('logging out revokes the session everywhere', async () => {
  const { token } = await t.as('viewer');
  const other = await t.replica();
  const out = await t.ask('POST', '/api/auth/logout', { token });
  expect(out.statusCode).toBe(200);
  expect(String(out.headers['set-cookie'])).toMatch(/tarfleet_session=;/);
  for (const app of [t.app, other]) {
    const answer = await app.inject({ url: '/api/auth/me', headers: { authorization: `Bearer ${token}` } });
    expect(answer.statusCode).toBe(401);
    expect(answer.json().code).toBe('UNAUTHENTICATED');
    expect(answer.headers['www-authenticate']).toContain('Bearer');
  }
});

test('an expired session is over, whatever its token says', async () => {
  const user = await t.user('viewer');
  const session = await t.db.sessions.create({ userId: user.id, expiresAt: new Date(Date.now() - 1000) });
  const sessionTokens = createSessionTokens(t.vault.jwtSecret);
  const claims = { id: session.id, userId: user.id };
  for (const expiresAt of [new Date(Date.now() - 1000), new Date(Date.now() + 3_600_000)]) {
    const token = await sessionTokens.issue({ ...claims, expiresAt });
    const answer = await t.ask('GET', '/api/auth/me', { token });
    expect(answer.statusCode).toBe(401);
  }
});

test('tokens that are altered, unsigned, signed by another or of another kind are refused', async () => {
  const { token, user } = await t.as('admin');
  const [header, payload, signature] = token.split('.') as [string, string, string];
  const none = Buffer.from(JSON.stringify({ alg: 'none', typ: 'JWT' })).toString('base64url');
  const forged = await new SignJWT({})
    .setProtectedHeader({ alg: 'HS256' })
    .setSubject(user.id)
    .setJti(crypto.randomUUID())
    .setExpirationTime('1h')
    .sign(new Uint8Array(32));
  const tokens = [
    `${header}.${payload}.${signature.slice(0, -2)}xx`,
    `${none}.${payload}.`,
    forged,
    'nonsense',
    'tft_nonsense',
  ];
  for (const bad of tokens) {
    const answer = await t.ask('GET', '/api/auth/me', { token: bad });
    expect([bad, answer.statusCode]).toEqual([bad, 401]);
  }
  const basic = await t.ask('GET', '/api/auth/me', { headers: { authorization: 'Basic YTpi' } });
  expect(basic.json().code).toBe('UNAUTHENTICATED');
});

test('login attempts are counted for an address and its e-mail together, on every replica', async () => {
  const own = await buildTestApp({ env: { RATE_LIMIT_LOGINS_PER_MINUTE: '3' } });
  try {
    const user = await own.user('viewer');
    const other = await own.replica();
    const attempt = (app: typeof other, email: string, password: string) =>
      app.inject({ method: 'POST', url: '/api/auth/login', payload: { email, password } });
    for (const app of [own.app, other, own.app]) {
      expect((await attempt(app, user.email, 'wrong')).statusCode).toBe(401);
    }
    const refused = await attempt(other, user.email, PASSWORD);
    expect(refused.statusCode).toBe(429);
    expect(refused.json().code).toBe('RATE_LIMITED');
    expect(refused.headers['ratelimit-limit']).toBe('3');
    expect(refused.headers['ratelimit-remaining']).toBe('0');
    expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
    expect((await attempt(other, 'someone-else@example.com', 'wrong')).statusCode).toBe(401);
  } finally {
    await own.close();
  }
});

test('cookies are Secure where browsers come by https', async () => {
  const own = await buildTestApp({ env: { PUBLIC_URL: 'https://tarfleet.example.com' } });
  try {
    const user = await own.user('viewer');
    const body = { email: user.email, password: PASSWORD };
    const answer = await own.ask('POST', '/api/auth/login', { body });
    expect(String(answer.headers['set-cookie'])).toMatch(/; Secure/);
  } finally {
    await own.close();
  }
});
