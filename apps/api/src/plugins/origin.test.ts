import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildTestApp, PASSWORD, type TestApp } from '../testing/test-app.ts';

let t: TestApp;
let cookie: string;
let token: string;

beforeAll(async () => {
  t = await buildTestApp({ env: { PUBLIC_URL: 'https://fleet.example.com' } });
  token = (await t.as('admin')).token;
  cookie = `tarfleet_session=${token}`;
});
afterAll(() => t.close());

let count = 0;
const make = (headers: Record<string, string>, carried: { cookie?: string; token?: string } = { cookie }) => {
  count += 1;
  return t.ask('POST', '/api/projects', {
    ...carried,
    headers: { host: 'inside.example.com:8080', ...headers },
    body: { name: `p${count}` },
  });
};

test.each([
  [{ origin: 'https://evil.example.com' }],
  [{ origin: 'null' }],
  [{ origin: 'http://inside.example.com' }],
  [{ origin: 'http://inside.example.com:8080.evil.example.com' }],
  [{ origin: 'https://fleet.example.com.evil.example.com' }],
  [{ 'sec-fetch-site': 'cross-site' }],
  [{ 'sec-fetch-site': 'same-site' }],
  [{ origin: 'https://evil.example.com', 'sec-fetch-site': 'same-origin' }],
])('a foreign page cannot use the cookie: %j', async (headers) => {
  const answer = await make(headers as unknown as Record<string, string>);
  expect([answer.statusCode, answer.json().code]).toEqual([403, 'ORIGIN_REFUSED']);
});

test.each([
  [{ origin: 'http://inside.example.com:8080' }],
  [{ origin: 'https://fleet.example.com', 'sec-fetch-site': 'same-origin' }],
  [{}],
])('our own pages and programs can: %j', async (headers) => {
  expect((await make(headers as Record<string, string>)).statusCode).toBe(201);
});

test('reading is not guarded, and a token needs no guard', async () => {
  const headers = { origin: 'https://evil.example.com' };
  expect((await t.ask('GET', '/api/projects', { cookie, headers })).statusCode).toBe(200);
  expect((await make(headers, { token })).statusCode).toBe(201);
});

test('a foreign page cannot sign a browser in', async () => {
  const user = await t.user('viewer');
  const answer = await t.ask('POST', '/api/auth/login', {
    headers: { origin: 'https://evil.example.com' },
    body: { email: user.email, password: PASSWORD },
  });
  expect(answer.json().code).toBe('ORIGIN_REFUSED');
  expect(answer.headers['set-cookie']).toBeUndefined();
});
