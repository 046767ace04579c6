import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createApiToken } from '../../plugins/api-tokens.ts';
import { buildTestApp, type TestApp } from '../../testing/test-app.ts';

let t: TestApp;
beforeAll(async () => {
  t = await buildTestApp();
});
afterAll(() => t.close());

const make = (token: string, body: object) => t.ask('POST', '/api/auth/tokens', { token, body });
const me = (headers: Record<string, string>) => t.ask('GET', '/api/auth/me', { headers });

test('a token is shown once and works in either header', async () => {
  const { token, user } = await t.as('operator');
  const made = await make(token, { name: 'ci' });
  expect(made.statusCode).toBe(201);
  const { token: secret, id, prefix } = made.json().data;
  expect(secret).toMatch(/^tft_[A-Za-z0-9_-]{43}$/);
  expect(secret.startsWith(prefix)).toBe(true);
  expect(made.headers.location).toBe(`/api/auth/tokens/${id}`);

  for (const headers of [{ authorization: `Bearer ${secret}` }, { 'x-api-token': secret }]) {
    const answer = await me(headers);
    expect(answer.json().data).toMatchObject({ id: user.id, role: 'operator', via: 'token' });
  }
  const list = await t.ask('GET', '/api/auth/tokens', { token });
  expect(list.json()).toMatchObject({ total: 1, data: [{ id, name: 'ci', prefix, role: null }] });
  expect(list.json().data[0].last_used_at).not.toBeNull();
  expect(list.body + (await t.ask('GET', `/api/auth/tokens/${id}`, { token })).body).not.toContain(secret);
});

test('a deleted token is refused at once, and only its user can delete it', async () => {
  const { token } = await t.as('viewer');
  const stranger = await t.as('admin');
  const { id, token: secret } = (await make(token, { name: 'old' })).json().data;
  const url = `/api/auth/tokens/${id}`;
  expect((await t.ask('DELETE', url, { token: stranger.token })).statusCode).toBe(404);
  expect((await t.ask('GET', url, { token: stranger.token })).statusCode).toBe(404);
  expect((await t.ask('DELETE', url, { token })).statusCode).toBe(200);
  expect((await me({ 'x-api-token': secret })).statusCode).toBe(401);
  expect((await t.ask('DELETE', url, { token })).statusCode).toBe(404);
});

test('a cap lowers what may be done, not what an administrator sees', async () => {
  const { token } = await t.as('admin');
  const project = await t.db.projects.create({ name: 'seen' });
  const { token: secret } = (await make(token, { name: 'monitor', role: 'viewer' })).json().data;
  const headers = { 'x-api-token': secret };
  const seen = await t.ask('GET', `/api/projects/${project.id}`, { headers });
  expect(seen.statusCode).toBe(200);
  for (const [method, url] of [
    ['GET', '/api/users'],
    ['POST', '/api/projects'],
    ['POST', '/api/servers'],
  ] as const) {
    const answer = await t.ask(method, url, { headers, ...(method === 'POST' ? { body: {} } : {}) });
    expect([url, answer.statusCode, answer.json().code]).toEqual([url, 403, 'INSUFFICIENT_PERMISSIONS']);
  }
});

test('no token above its user, none from a token, none past its time', async () => {
  const { token, user } = await t.as('viewer');
  expect((await make(token, { name: 'x', role: 'admin' })).statusCode).toBe(403);
  const { token: secret } = (await make(token, { name: 'x', expires_in_days: 1 })).json().data;
  const from = await t.ask('POST', '/api/auth/tokens', {
    headers: { 'x-api-token': secret },
    body: { name: 'y' },
  });
  expect(from.json().code).toBe('INSUFFICIENT_PERMISSIONS');

  const { token: late, hash, prefix } = createApiToken();
  const expiresAt = new Date(Date.now() - 1000);
  await t.db.apiTokens.create({
    userId: user.id,
    name: 'late',
    tokenHash: hash,
    prefix,
    role: null,
    expiresAt,
  });
  expect((await me({ 'x-api-token': late })).statusCode).toBe(401);
});

test('an API token is not a session that could be closed', async () => {
  const { token } = await t.as('viewer');
  const { token: secret } = (await make(token, { name: 'x' })).json().data;
  const answer = await t.ask('POST', '/api/auth/logout', { headers: { 'x-api-token': secret } });
  expect(answer.json().code).toBe('NOT_SUPPORTED');
});
