import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { Type } from 'typebox';
import { buildTestApp, type TestApp } from '../testing/test-app.ts';

let t: TestApp;
let token: string;
let calls = 0;
let fail: (() => never) | null = null;
let gate: Promise<void> = Promise.resolve();

beforeAll(async () => {
  t = await buildTestApp();
  t.app.post(
    '/test/jobs',
    {
      config: { idempotent: true, audit: { action: 'test.start', target: 'job' } },
      schema: {
        body: Type.Object({ a: Type.Optional(Type.Integer()), b: Type.Optional(Type.Integer()) }),
        response: { 202: Type.Object({ n: Type.Integer() }) },
      },
    },
    async (_request, reply) => {
      calls += 1;
      const n = calls;
      await gate;
      fail?.();
      return reply.code(202).header('location', `/jobs/${n}`).send({ n });
    },
  );
  token = (await t.as('admin')).token;
});
afterAll(() => t.close());

const send = (key: string, body: unknown, as = token) =>
  t.ask('POST', '/test/jobs', { token: as, body, headers: { 'idempotency-key': key } });

test('the same key and body give the same answer, and the work is done once', async () => {
  const first = await send('one', { a: 1, b: 2 });
  const before = calls;
  const second = await send('one', { b: 2, a: 1 });
  expect(calls).toBe(before);
  expect(second.statusCode).toBe(202);
  expect(second.body).toBe(first.body);
  expect(second.headers.location).toBe(first.headers.location);
  expect(second.headers['content-type']).toBe(first.headers['content-type']);
  expect(first.headers['idempotency-replayed']).toBeUndefined();
  expect(second.headers['idempotency-replayed']).toBe('true');
});

test('another body under the key is refused, another user’s key is another key', async () => {
  await send('two', { a: 1 });
  const reused = await send('two', { a: 2 });
  expect([reused.statusCode, reused.json().code]).toEqual([422, 'IDEMPOTENCY_KEY_REUSED']);
  const other = await t.as('viewer');
  expect((await send('two', { a: 2 }, other.token)).statusCode).toBe(202);
});

test('of two at once one works and the other is told to come back', async () => {
  let open: () => void = () => undefined;
  gate = new Promise((resolve) => {
    open = resolve;
  });
  const before = calls;
  const first = send('three', { a: 1 });
  while (calls === before) await new Promise((resolve) => setImmediate(resolve));
  const second = await send('three', { a: 1 });
  open();
  expect([second.statusCode, second.json().code]).toEqual([409, 'IDEMPOTENCY_KEY_IN_USE']);
  expect((await first).statusCode).toBe(202);
  expect(calls).toBe(before + 1);
  expect((await send('three', { a: 1 })).headers['idempotency-replayed']).toBe('true');
});

test('what kept the work from being done is not kept, what it came to is', async () => {
  const cases: [() => never, number, boolean][] = [
    [() => raise(new Error('crash')), 500, false],
    [() => raise(new AppError('UNAVAILABLE', 'later')), 503, false],
    [() => raise(new AppError('RATE_LIMITED', 'later')), 429, false],
    [() => raise(new AppError('VALIDATION_FAILED', 'no')), 400, false],
    [() => raise(new AppError('INSUFFICIENT_PERMISSIONS', 'no')), 403, false],
    [() => raise(new AppError('CONFLICT', 'taken')), 409, true],
    [() => raise(new AppError('BACKUP_NOT_FOUND', 'gone')), 404, true],
  ];
  for (const [failure, status, kept] of cases) {
    fail = failure;
    const key = `four-${status}`;
    expect((await send(key, {})).statusCode).toBe(status);
    fail = null;
    const again = await send(key, {});
    expect([status, again.statusCode]).toEqual([status, kept ? status : 202]);
  }
});

test('a mistyped body or key claims nothing', async () => {
  expect((await send('five', { a: 'x' })).statusCode).toBe(400);
  expect((await send('five', { a: 1 })).statusCode).toBe(202);
  for (const bad of ['', 'with space', 'x'.repeat(256), 'ümlaut']) {
    const answer = await send(bad, {});
    expect([bad.slice(0, 20), answer.statusCode]).toEqual([bad.slice(0, 20), 400]);
    expect(answer.json().details[0].path).toBe('headers/idempotency-key');
  }
});

test('an answer with a secret is not kept: a repeat is refused and makes no second one', async () => {
  const ask = () =>
    t.ask('POST', '/api/auth/tokens', { token, body: { name: 'ci' }, headers: { 'idempotency-key': 'six' } });
  const first = await ask();
  expect(first.statusCode).toBe(201);
  const again = await ask();
  expect(again.statusCode).toBe(409);
  expect(again.json()).toMatchObject({ success: false, code: 'CONFLICT' });
  expect(again.body).not.toContain(first.json().data.token);
  const { total } = (await t.ask('GET', '/api/auth/tokens', { token })).json();
  expect(total).toBe(1);
});

function raise(error: Error): never {
  throw error;
}
