import { connect } from 'node:net';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';

let t: TestApp;
let token: string;

beforeAll(async () => {
  t = await buildTestApp({ env: { BODY_LIMIT_BYTES: '2048' } });
  const open = { config: { public: true as const } };
  t.app.get('/test/fault', open, () => {
    throw new Error('password of the database is hunter2');
  });
  t.app.get('/test/hidden', open, () => {
    throw new AppError('PLAN_INVALID', 'internal: field x of plan y');
  });
  t.app.get('/test/storage', open, () => {
    throw new AppError('STORAGE_FULL', 'The destination is full; make room there.', { details: { free: 0 } });
  });
  t.app.get('/test/restore', open, () => {
    throw new AppError('RESTORE_FAILED', 'Restore failed: the service did not start.');
  });
  token = (await t.as('admin')).token;
});
afterAll(() => t.close());

const post = (payload: string, headers: Record<string, string> = {}) =>
  t.app.inject({
    method: 'POST',
    url: '/api/projects',
    headers: { authorization: `Bearer ${token}`, 'content-type': 'application/json', ...headers },
    payload,
  });

test('every fault is listed by its path, those of the query and the body together', async () => {
  const answer = await t.ask('POST', '/api/servers', {
    token,
    body: {
      kind: 'ssh',
      nmae: 'x',
      host: '-bad',
      port: 'twentytwo',
      auth: { type: 'private_key', passwrod: 1 },
    },
  });
  expect(answer.statusCode).toBe(400);
  const body = answer.json();
  expect(body).toMatchObject({ success: false, code: 'VALIDATION_FAILED', error: 'Bad Request' });
  const paths = body.details.map((fault: { path: string }) => fault.path).sort();
  expect(paths).toEqual([
    'body/auth/passwrod',
    'body/auth/private_key',
    'body/host',
    'body/name',
    'body/nmae',
    'body/port',
    'body/username',
  ]);
  expect(body.message).toContain('and 4 more');

  const both = await t.ask('PATCH', '/api/users/not-a-uuid', { token, body: { emial: 'x' } });
  const faults = both.json().details.map((fault: { path: string }) => fault.path);
  expect(faults).toEqual(['params/id', 'body/emial']);
});

test('a wrong kind names the kinds that there are, and nothing of the others', async () => {
  const answer = await t.ask('POST', '/api/servers', { token, body: { kind: 'telnet', name: 'x' } });
  expect(answer.json().details).toEqual([{ path: 'body/kind', message: 'must be one of: ssh, local' }]);
  const without = await t.ask('POST', '/api/servers', { token, body: { name: 'x' } });
  expect(without.json().details).toContainEqual({ path: 'body/kind', message: 'is required' });
});

test('types of a body are not converted, those of a query are', async () => {
  const wrong = await t.ask('POST', '/api/projects', { token, body: { name: 7 } });
  expect(wrong.json().details).toEqual([{ path: 'body/name', message: 'must be string' }]);
  expect((await t.ask('GET', '/api/projects?page=1&per_page=5', { token })).statusCode).toBe(200);
  for (const query of ['page=0', 'page=x', 'per_page=101', 'page=1&page=2', 'pgae=1', 'page=%00']) {
    const answer = await t.ask('GET', `/api/projects?${query}`, { token });
    expect([query, answer.statusCode, answer.json().code]).toEqual([query, 400, 'VALIDATION_FAILED']);
  }
});

test('malformed JSON is told as such, without a piece of it', async () => {
  for (const text of ['{"name": "hunter2', '{name: 1}', '[1,]', '\u0000']) {
    const answer = await post(text);
    expect([text, answer.statusCode, answer.json().code]).toEqual([text, 400, 'MALFORMED_BODY']);
    expect(answer.body).not.toContain('hunter2');
  }
});

test('bodies that could harm what walks them are refused', async () => {
  const cases: [string, string][] = [
    ['{"name":"a","__proto__":{"role":"admin"}}', 'MALFORMED_BODY'],
    [`${'['.repeat(900)}${']'.repeat(900)}`, 'MALFORMED_BODY'],
    ['{"name":"a\\u0000b"}', 'VALIDATION_FAILED'],
    ['{"name":"a\\ud800b"}', 'VALIDATION_FAILED'],
    ['"text"', 'VALIDATION_FAILED'],
    ['null', 'VALIDATION_FAILED'],
    ['', 'VALIDATION_FAILED'],
  ];
  for (const [text, code] of cases) {
    const answer = await post(text);
    expect([text.slice(0, 40), answer.statusCode, answer.json().code]).toEqual([
      text.slice(0, 40),
      400,
      code,
    ]);
  }
  // A pair is a character like any other.
  expect((await post('{"name":"fleet \\ud83d\\ude80"}')).statusCode).toBe(201);
});

test('a body over the limit and one that is no JSON', async () => {
  const large = await post(JSON.stringify({ name: 'x'.repeat(3000) }));
  expect([large.statusCode, large.json().code]).toEqual([413, 'BODY_TOO_LARGE']);
  for (const type of ['text/plain', 'application/x-www-form-urlencoded', 'multipart/form-data; boundary=x']) {
    const answer = await post('name=x', { 'content-type': type });
    expect([type, answer.statusCode, answer.json().code]).toEqual([type, 415, 'UNSUPPORTED_MEDIA_TYPE']);
  }
  const utf8 = await post('{"name":"with a charset"}', { 'content-type': 'application/json; charset=utf-8' });
  expect(utf8.statusCode).toBe(201);
});

test('what does not exist is said in the same shape', async () => {
  const paths = ['/nowhere', '/api/nowhere', `/api/servers/${'x'.repeat(300)}`];
  for (const url of paths) {
    const answer = await t.ask('GET', url, { token });
    expect([url, answer.statusCode, answer.json().code]).toEqual([url, 404, 'NOT_FOUND']);
    expect(answer.headers['x-request-id']).toBeTruthy();
  }
  expect((await t.ask('PUT', '/api/servers', { token })).statusCode).toBe(404);
  expect((await t.ask('GET', '/api/servers/', { token })).statusCode).toBe(200);
  const broken = await t.ask('GET', '/api/%zz', { token });
  expect([broken.statusCode, broken.json().code]).toEqual([400, 'VALIDATION_FAILED']);
});

test('our own faults show nothing of what is inside, and are logged', async () => {
  for (const url of ['/test/fault', '/test/hidden']) {
    const answer = await t.ask('GET', url, { headers: { 'x-request-id': 'my-own-request-1' } });
    expect(answer.statusCode).toBe(500);
    expect(answer.json()).toEqual({
      success: false,
      code: 'INTERNAL',
      error: 'Internal Server Error',
      message: expect.stringContaining('my-own-request-1'),
    });
    expect(answer.body).not.toMatch(/hunter2|plan y/);
  }
  expect(t.logged()).toContain('request failed');
});

test('failures that are the client’s to know keep their text', async () => {
  const full = await t.ask('GET', '/test/storage');
  expect(full.statusCode).toBe(507);
  expect(full.json()).toEqual({
    success: false,
    code: 'STORAGE_FULL',
    error: 'Insufficient Storage',
    message: 'The destination is full; make room there.',
    details: { free: 0 },
  });
  const restore = await t.ask('GET', '/test/restore');
  expect([restore.statusCode, restore.json().message]).toEqual([
    500,
    'Restore failed: the service did not start.',
  ]);
});

test('a request keeps its sane id and gets another for an insane one', async () => {
  const sane = await t.ask('GET', '/healthz', { headers: { 'x-request-id': 'trace-12345678' } });
  expect(sane.headers['x-request-id']).toBe('trace-12345678');
  for (const bad of ['short', 'with spaces in it', 'x'.repeat(200), 'quote"quote"']) {
    const answer = await t.ask('GET', '/healthz', { headers: { 'x-request-id': bad } });
    expect(answer.headers['x-request-id']).toMatch(/^[0-9a-f-]{36}$/);
  }
  expect(t.logged()).toMatch(/"requestId":"trace-12345678"/);
});

test('answers carry the plain security headers', async () => {
  const { headers } = await t.ask('GET', '/healthz');
  expect(headers).toMatchObject({
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'cache-control': 'no-store',
  });
  expect(headers['access-control-allow-origin']).toBeUndefined();
});

test('what is not HTTP gets an answer all the same', async () => {
  const own = await buildTestApp();
  try {
    const url = new URL(await own.app.listen({ host: '127.0.0.1', port: 0 }));
    const text = await new Promise<string>((resolve, reject) => {
      const socket = connect(Number(url.port), url.hostname, () => socket.write('nonsense\r\n\r\n'));
      let read = '';
      socket.on('data', (chunk) => {
        read += chunk.toString();
      });
      socket.on('close', () => resolve(read));
      socket.on('error', reject);
    });
    const [head, body] = text.split('\r\n\r\n') as [string, string];
    expect(head).toMatch(/^HTTP\/1.1 400 Bad Request/);
    expect(head).toMatch(/x-request-id: /);
    expect(JSON.parse(body)).toMatchObject({ success: false, code: 'VALIDATION_FAILED' });
  } finally {
    await own.close();
  }
});
