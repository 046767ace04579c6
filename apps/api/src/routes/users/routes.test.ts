import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildTestApp, PASSWORD, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
let admin: string;
beforeAll(async () => {
  t = await buildTestApp();
  admin = (await t.as('admin')).token;
});
afterAll(() => t.close());

const signIn = (email: string, password: string) =>
  t.ask('POST', '/api/auth/login', { body: { email, password } });

test('an admin makes, sees, changes and deletes users', async () => {
  const body = { email: 'Ann@Example.com', password: 'a long enough one', role: 'operator' };
  const made = await t.ask('POST', '/api/users', { token: admin, body });
  expect(made.statusCode).toBe(201);
  const { data } = made.json();
  expect(data).toMatchObject({ email: 'ann@example.com', role: 'operator', disabled: false });
  const url = `/api/users/${data.id}`;
  expect(made.headers.location).toBe(url);
  expect((await signIn('ann@example.com', body.password)).statusCode).toBe(200);

  const taken = await t.ask('POST', '/api/users', {
    token: admin,
    body: { ...body, email: 'ANN@example.com' },
  });
  expect([taken.statusCode, taken.json().code]).toEqual([409, 'CONFLICT']);
  const changed = await t.ask('PATCH', url, { token: admin, body: { role: 'viewer' } });
  expect(changed.json().data.role).toBe('viewer');
  const list = await t.ask('GET', '/api/users?per_page=1', { token: admin });
  expect(list.json()).toMatchObject({
    page: 1,
    per_page: 1,
    total: 2,
    total_pages: 2,
    data: [{ id: data.id }],
  });
  expect((await t.ask('DELETE', url, { token: admin })).statusCode).toBe(200);
  expect((await t.ask('GET', url, { token: admin })).statusCode).toBe(404);
});

test('a new user is a viewer unless said otherwise, and needs a real password', async () => {
  const made = await t.ask('POST', '/api/users', {
    token: admin,
    body: { email: 'v@example.com', password: 'long enough' },
  });
  expect(made.json().data.role).toBe('viewer');
  const bad = await t.ask('POST', '/api/users', {
    token: admin,
    body: { email: 'no address', password: 'short' },
  });
  const paths = bad.json().details.map((fault: { path: string }) => fault.path);
  expect(paths.sort()).toEqual(['body/email', 'body/password']);
  expect(bad.body).not.toContain('short"');
});

test('users are for admins', async () => {
  const other = await t.user('viewer');
  const { token } = await t.as('operator');
  for (const [method, url, body] of [
    ['GET', '/api/users', undefined],
    ['POST', '/api/users', {}],
    ['GET', `/api/users/${other.id}`, undefined],
    ['PATCH', `/api/users/${other.id}`, { role: 'viewer' }],
    ['PATCH', `/api/users/${crypto.randomUUID()}`, { role: 'viewer' }],
    ['DELETE', `/api/users/${other.id}`, undefined],
  ] as const) {
    const answer = await t.ask(method, url, { token, ...(body ? { body } : {}) });
    expect([method, url, answer.statusCode]).toEqual([method, url, 403]);
  }
});

test('everyone changes their own password, knowing the old one; other sessions end', async () => {
  const { user, token } = await t.as('viewer');
  const elsewhere = await t.login(user.email);
  const url = `/api/users/${user.id}`;
  const change = (body: object) => t.ask('PATCH', url, { token, body });
  const without = await change({ password: 'another long one' });
  expect(without.json().details[0].path).toBe('body/current_password');
  const wrong = await change({ password: 'another long one', current_password: 'guess' });
  expect(wrong.statusCode).toBe(400);
  const more = await change({ password: 'another long one', current_password: PASSWORD, role: 'admin' });
  expect(more.statusCode).toBe(403);
  expect((await change({ password: 'another long one', current_password: PASSWORD })).statusCode).toBe(200);

  expect((await signIn(user.email, PASSWORD)).statusCode).toBe(401);
  expect((await signIn(user.email, 'another long one')).statusCode).toBe(200);
  expect((await t.ask('GET', '/api/auth/me', { token })).statusCode).toBe(200);
  expect((await t.ask('GET', '/api/auth/me', { token: elsewhere })).statusCode).toBe(401);
});

test('guesses at the present password are counted', async () => {
  const own = await buildTestApp({ env: { RATE_LIMIT_LOGINS_PER_MINUTE: '2' } });
  try {
    const { user, token } = await own.as('viewer');
    const body = { password: 'another long one', current_password: 'guess' };
    const guess = async () => (await own.ask('PATCH', `/api/users/${user.id}`, { token, body })).statusCode;
    expect([await guess(), await guess(), await guess()]).toEqual([400, 400, 429]);
  } finally {
    await own.close();
  }
});

test('a password that an admin sets ends every session of the user', async () => {
  const { user, token } = await t.as('viewer');
  await t.ask('PATCH', `/api/users/${user.id}`, { token: admin, body: { password: 'set by an admin' } });
  expect((await t.ask('GET', '/api/auth/me', { token })).statusCode).toBe(401);
});

test('disabling revokes sessions and tokens for good', async () => {
  const { user, token } = await t.as('operator');
  const made = await t.ask('POST', '/api/auth/tokens', { token, body: { name: 'ci' } });
  const { token: secret } = made.json().data;
  const url = `/api/users/${user.id}`;
  const disabled = await t.ask('PATCH', url, { token: admin, body: { disabled: true } });
  expect(disabled.json().data.disabled).toBe(true);
  const tries = async () => [
    (await t.ask('GET', '/api/auth/me', { token })).statusCode,
    (await t.ask('GET', '/api/auth/me', { headers: { 'x-api-token': secret } })).statusCode,
  ];
  expect(await tries()).toEqual([401, 401]);
  await t.ask('PATCH', url, { token: admin, body: { disabled: false } });
  expect(await tries()).toEqual([401, 401]);
  expect((await signIn(user.email, PASSWORD)).statusCode).toBe(200);
});

test('a lowered role holds from the next request on', async () => {
  const { user, token } = await t.as('admin');
  await t.ask('PATCH', `/api/users/${user.id}`, { token: admin, body: { role: 'viewer' } });
  expect((await t.ask('GET', '/api/users', { token })).statusCode).toBe(403);
});

test('the last active admin stays', async () => {
  const own = await buildTestApp();
  try {
    const { user, token } = await own.as('admin');
    const url = `/api/users/${user.id}`;
    for (const body of [{ role: 'viewer' }, { disabled: true }]) {
      const answer = await own.ask('PATCH', url, { token, body });
      expect([answer.statusCode, answer.json().code]).toEqual([409, 'CONFLICT']);
    }
    expect((await own.ask('DELETE', url, { token })).statusCode).toBe(409);
    expect((await own.ask('GET', '/api/users', { token })).statusCode).toBe(200);
  } finally {
    await own.close();
  }
});
