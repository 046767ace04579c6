import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';
import { parseOrigins } from './cors.ts';

const PAGE = 'https://app.example.com';
let t: TestApp;
let token: string;
beforeAll(async () => {
  t = await buildTestApp({ env: { CORS_ORIGINS: `${PAGE}, http://localhost:5173` } });
  token = (await t.as('admin')).token;
});
afterAll(() => t.close());

const preflight = (origin: string) =>
  t.app.inject({
    ...{ method: 'OPTIONS', url: '/api/projects/1/backups' },
    headers: {
      origin,
      'access-control-request-method': 'POST',
      'access-control-request-headers': 'authorization,content-type,idempotency-key',
    },
  });
const corsOf = (headers: Record<string, unknown>) =>
  Object.keys(headers).filter((name) => name.startsWith('access-control-'));

test('pages of the origins that are named may ask, with what the client sends', async () => {
  for (const origin of [PAGE, 'http://localhost:5173']) {
    const answer = await preflight(origin);
    expect([answer.statusCode, answer.headers['access-control-allow-origin']]).toEqual([204, origin]);
    expect(answer.headers['access-control-allow-headers']).toContain('idempotency-key');
    expect(answer.headers['access-control-allow-methods']).toContain('DELETE');
    expect(answer.headers.vary).toContain('Origin');
  }
});

test('an answer shows its headers to them, an error too, and never takes the cookie', async () => {
  for (const [url, status] of [
    ['/api/projects', 200],
    ['/api/nothing', 404],
    ['/api/jobs/x', 400],
  ] as const) {
    const answer = await t.ask('GET', url, { token, headers: { origin: PAGE } });
    expect([url, answer.statusCode]).toEqual([url, status]);
    expect(answer.headers['access-control-allow-origin']).toBe(PAGE);
    expect(answer.headers['access-control-allow-credentials']).toBeUndefined();
    const exposed = String(answer.headers['access-control-expose-headers']).split(', ');
    expect(exposed).toEqual(
      expect.arrayContaining(['location', 'retry-after', 'x-request-id', 'preference-applied']),
    );
  }
  const refused = await t.ask('GET', '/api/projects', { headers: { origin: PAGE } });
  expect([refused.statusCode, refused.headers['access-control-allow-origin']]).toEqual([401, PAGE]);
});

test.each([
  'https://app.example.com.evil.example',
  'https://evil.example',
  'http://app.example.com',
  'https://app.example.com:8443',
  'null',
])('%s is none of them', async (origin) => {
  expect(corsOf((await preflight(origin)).headers)).toEqual([]);
  const answer = await t.ask('GET', '/api/projects', { token, headers: { origin } });
  expect([answer.statusCode, corsOf(answer.headers)]).toEqual([200, []]);
});

test('no origin is named by default, and then nothing of it is there', async () => {
  const plain = await buildTestApp();
  try {
    const { headers, statusCode } = await plain.app.inject({
      ...{ method: 'OPTIONS', url: '/api/projects' },
      headers: { origin: PAGE, 'access-control-request-method': 'POST' },
    });
    expect([statusCode, corsOf(headers)]).toEqual([404, []]);
  } finally {
    await plain.close();
  }
});

test('only whole origins are taken', () => {
  expect(parseOrigins('')).toEqual([]);
  expect(parseOrigins(' https://a.example,http://b:81 ')).toEqual(['https://a.example', 'http://b:81']);
  for (const wrong of [
    '*',
    'a.example',
    'https://a.example/',
    'https://*.a.example',
    'file:///x',
    'HTTPS://a.example',
  ]) {
    expect(() => parseOrigins(wrong)).toThrow(/is not an origin/);
  }
});
