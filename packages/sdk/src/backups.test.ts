// Against a real server that fails in every way: what is sent again, what is not, and what the caller is told.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type ClientOptions, createClient, TarfleetError } from './index.ts';
import {
  backup,
  cut,
  drop,
  error,
  hang,
  json,
  page,
  type ScriptedServer,
  startScriptedServer,
} from './testing/scripted-server.ts';

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());

const client = (change: Partial<ClientOptions> = {}) =>
  createClient({ baseUrl: `${server.url}/`, token: 'tft_x', projectId: 1, ...change }).backups;
const created = json(202, { success: true, data: backup(), message: 'Backup creation started', ...backup() });
const shown = json(200, { success: true, data: { services: [] }, ...backup() });
const keys = () => server.seen.map(({ headers }) => headers['idempotency-key']);
const failed = async (promise: PromiseLike<unknown>): Promise<TarfleetError> => {
  const reason = await Promise.resolve(promise).then(
    () => 'it succeeded',
    (thrown: unknown) => thrown,
  );
  expect(reason).toBeInstanceOf(TarfleetError);
  return reason as TarfleetError;
};
const busy = error(503, { code: 'UNAVAILABLE' }, { 'retry-after': '0' });

test('a request is as the API wants it', async () => {
  server.next(created, shown, json(200, { success: true, data: { job_id: 'j' }, message: 'm' }));
  await client().create({ name: 'Weekly Backup', type: 'manual' });
  await client().get('b/1');
  await client().delete('b1', { force: true, reason: 'too old & large' });
  expect(server.seen.map(({ method, url, body }) => [method, url, body])).toEqual([
    ['POST', '/api/projects/1/backups', { name: 'Weekly Backup', type: 'manual' }],
    ['GET', '/api/backups/b%2F1', undefined],
    ['DELETE', '/api/backups/b1?force=true&reason=too+old+%26+large', undefined],
  ]);
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(Array(3).fill('Bearer tft_x'));
  expect(keys()).toEqual([expect.stringMatching(/^sdk-[0-9a-f]{32}$/), undefined, undefined]);
});

test('what starts something is sent again under its one key, whatever becomes of it', async () => {
  server.next(drop, cut, busy, page(502), created);
  expect((await client().create({ name: 'x' })).id).toBe('b1');
  expect(server.seen).toHaveLength(5);
  expect(new Set(keys()).size).toBe(1);

  server.next(created, created);
  await client().create({ name: 'x' });
  await client().create({ name: 'x' }, { idempotencyKey: 'mine' });
  expect(keys()[0]).not.toBe('mine');
  expect(keys()[1]).toBe('mine');
});

test('a job that an earlier try has started is found, though its answer will not come', async () => {
  const inUse = error(
    409,
    { code: 'IDEMPOTENCY_KEY_IN_USE', details: { job_id: 'b1' } },
    { 'retry-after': '0' },
  );
  server.next(cut, inUse, inUse, shown);
  expect(await client({ retries: 2 }).create({ name: 'x' })).toEqual(backup());
  expect(server.seen.at(-1)).toMatchObject({ method: 'GET', url: '/api/backups/b1' });
});

test('a deletion is sent again only where nothing can have been done', async () => {
  for (const act of [drop, cut, page(502), page(503), error(500, { code: 'INTERNAL' })]) {
    server.next(act);
    await failed(client().delete('b1'));
    expect(server.seen).toHaveLength(1);
  }
  server.next(error(503, { code: 'UNAVAILABLE', details: { job_id: 'j1' } }, { 'retry-after': '0' }));
  expect((await failed(client().delete('b1'))).jobId).toBe('j1');

  server.next(
    busy,
    error(429, { code: 'RATE_LIMITED' }, { 'retry-after': '0' }),
    json(202, { success: true, data: { backup_id: 'b1', job_id: 'j1' }, message: 'Backup deletion started' }),
  );
  expect((await client().delete('b1')).jobId).toBe('j1');
  expect(server.seen).toHaveLength(3);
});

test('an error is typed, and one that is the request’s own fault is not repeated', async () => {
  const details = [{ path: 'body/name', message: 'is required' }];
  server.next(error(400, { code: 'VALIDATION_FAILED', message: 'Name it.', details }));
  const told = await failed(client().create({ name: '' }));
  expect(server.seen).toHaveLength(1);
  expect(told).toMatchObject({
    ...{ name: 'TarfleetError', code: 'VALIDATION_FAILED', status: 400, message: 'Name it.', details },
    ...{ requestId: 'request-1', retryAfterMs: null, transient: false, jobId: null },
  });
  for (const [status, code] of [
    [404, 'BACKUP_NOT_FOUND'],
    [403, 'INSUFFICIENT_PERMISSIONS'],
    [507, 'STORAGE_FULL'],
    [500, 'RESTORE_FAILED'],
  ] as const) {
    server.next(error(status, { code }));
    expect((await failed(client().get('b1'))).code).toBe(code);
    expect(server.seen).toHaveLength(1);
  }
});

test('the job that is in the way is not taken for that of the request', async () => {
  for (const code of ['BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS']) {
    server.next(error(409, { code, details: { job_id: 'other' } }));
    expect(await failed(client().create({ name: 'x' }))).toMatchObject({
      ...{ code, jobId: null, blockingJobId: 'other' },
    });
  }
  server.next(error(502, { code: 'SERVER_UNREACHABLE', details: { job_id: 'own' } }));
  expect(await failed(client().restore('b1'))).toMatchObject({ jobId: 'own', blockingJobId: null });
});

test('Retry-After is waited for, as seconds or as a date, and told of where it is too long', async () => {
  const soon = new Date(Date.now() + 1_000).toUTCString();
  server.next(error(429, { code: 'RATE_LIMITED' }, { 'retry-after': soon }), shown);
  await client().get('b1');
  expect(server.seen).toHaveLength(2);

  server.next(error(429, { code: 'RATE_LIMITED' }, { 'retry-after': '3600' }));
  const told = await failed(client().restore('b1'));
  expect([told.code, told.retryAfterMs, server.seen.length]).toEqual(['RATE_LIMITED', 3_600_000, 1]);
});

test('after as many tries as are allowed the last failure is told', async () => {
  server.next();
  server.otherwise(busy);
  expect((await failed(client({ retries: 2 }).get('b1'))).code).toBe('UNAVAILABLE');
  expect(server.seen).toHaveLength(3);
  server.next(drop);
  expect(await failed(client({ retries: 0 }).get('b1'))).toMatchObject({
    code: 'CONNECTION_FAILED',
    status: null,
  });
  expect(server.seen).toHaveLength(1);
});

test('a server that hangs is left, and asked again where that is safe', async () => {
  server.next(hang, shown);
  expect((await client({ timeoutMs: 200 }).get('b1')).id).toBe('b1');
  server.next(hang);
  expect((await failed(client().delete('b1', {}, { timeoutMs: 200 }))).code).toBe('TIMED_OUT');
  expect(server.seen).toHaveLength(1);
});

test('a signal ends a call, its pauses and what has not begun, with its own reason', async () => {
  const reason = new Error('enough');
  server.next(hang);
  const asked = new AbortController();
  setTimeout(() => asked.abort(reason), 50);
  await expect(client().get('b1', { signal: asked.signal })).rejects.toBe(reason);

  server.next(error(503, { code: 'UNAVAILABLE' }, { 'retry-after': '30' }), shown);
  const paused = new AbortController();
  setTimeout(() => paused.abort(reason), 100);
  await expect(client().get('b1', { signal: paused.signal })).rejects.toBe(reason);
  expect(server.seen).toHaveLength(1);

  server.next();
  await expect(client().get('b1', { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
  expect(server.seen).toHaveLength(0);
});

test('what is not the API is not taken for it', async () => {
  server.next(page(200));
  expect(await failed(client().get('b1'))).toMatchObject({ code: 'BAD_ANSWER', status: 200 });
  server.next((response) => response.writeHead(301, { location: `${server.url}/elsewhere` }).end());
  const moved = await failed(client().create({ name: 'x' }));
  expect([moved.code, moved.message, server.seen.length]).toEqual([
    'BAD_ANSWER',
    expect.stringContaining('baseUrl'),
    1,
  ]);
});

test('a list is read page by page, from the last backup on', async () => {
  const items = (...ids: string[]) =>
    json(200, { success: true, data: ids.map((id) => backup({ id })), total: 5 });
  server.next(items('5', '4'), items('3', '2'), items('1'));
  expect((await client().list({ pageSize: 2 })).map(({ id }) => id)).toEqual(['5', '4', '3', '2', '1']);
  expect(server.seen.map(({ url }) => url)).toEqual([
    '/api/projects/1/backups?per_page=2',
    '/api/projects/1/backups?per_page=2&after=4',
    '/api/projects/1/backups?per_page=2&after=2',
  ]);

  server.next(items('5', '4'), busy, items('3', '2'));
  const seen: string[] = [];
  for await (const { id } of client().list({ pageSize: 2 })) {
    seen.push(id);
    if (id === '3') break;
  }
  // One page at a time: the third was never asked for.
  expect([seen, server.seen.length]).toEqual([['5', '4', '3'], 3]);

  server.next(items());
  expect(await client().list()).toEqual([]);
  server.next(error(404, { code: 'NOT_FOUND' }));
  expect((await failed(client().list())).code).toBe('NOT_FOUND');
});

test('a token may be fetched for each try, and a client needs a project', async () => {
  let fetched = 0;
  const token = async () => {
    fetched += 1;
    return `t${fetched}`;
  };
  server.next(busy, shown);
  await client({ token }).get('b1');
  expect(server.seen.map(({ headers }) => headers.authorization)).toEqual(['Bearer t1', 'Bearer t2']);
  const broken = new TypeError('no token today');
  await expect(client({ token: () => Promise.reject(broken) }).get('b1')).rejects.toBe(broken);
  expect(() => client({ projectId: Number.NaN })).toThrow(/projectId/);
  expect(() => client({ baseUrl: 'backup.example.com' })).toThrow(/baseUrl/);
});
