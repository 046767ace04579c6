// Waiting, over streams of events that break, stall or are not there.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createClient, type Progress, TarfleetError, type WaitOptions } from './index.ts';
import {
  type Act,
  backup,
  drop,
  error,
  job,
  json,
  page,
  progress,
  type ScriptedServer,
  startScriptedServer,
  stream,
} from './testing/scripted-server.ts';

let server: ScriptedServer;
beforeAll(async () => {
  server = await startScriptedServer();
});
afterAll(() => server.close());

/** What each kind of request gets, one after the other; the last one stays. */
function script(acts: { events: Act[]; jobs: Act[] }) {
  const take = (list: Act[]): Act => (list.length > 1 ? list.shift() : list[0]) ?? drop;
  server.next();
  server.otherwise((response, seen) => {
    if (seen.url.endsWith('/events')) take(acts.events)(response, seen);
    else if (seen.url.startsWith('/api/jobs/')) take(acts.jobs)(response, seen);
    else json(200, { success: true, data: {}, ...backup({ status: 'completed', size: 9 }) })(response, seen);
  });
}
const wait = (options: WaitOptions = {}) =>
  createClient({ baseUrl: server.url, token: 't', projectId: 1, retries: 0 }).backups.wait('b1', {
    ...{ pollMs: 20, timeoutMs: 10_000 },
    ...options,
  });
const streams = () => server.seen.filter(({ url }) => url.endsWith('/events'));
const running = json(200, job('running'));
const completed = json(200, job('completed'));
const event = (type: string, data: unknown, id?: number) =>
  `${id === undefined ? '' : `id: ${id}\n`}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`;
const END = event('end', { job_id: 'b1', state: 'completed' });

test('the end comes with the events, and progress as it is made', async () => {
  const told: number[] = [];
  script({
    events: [
      stream(
        [event('started', {}, 1), event('progress', progress(40)), event('progress', progress(100)), END],
        'stay',
      ),
    ],
    jobs: [completed],
  });
  const made = await wait({ onProgress: ({ percent }: Progress) => told.push(percent) });
  expect([made.status, made.size, told]).toEqual(['completed', 9, [40, 100]]);
  expect(server.seen.map(({ url }) => url)).toEqual([
    '/api/jobs/b1/events',
    '/api/jobs/b1',
    '/api/backups/b1',
  ]);
});

test('a stream that breaks off goes on where it was', async () => {
  script({
    events: [
      stream(
        ['retry: 5\n\n', event('step', {}, 7), event('progress', progress(10)), 'id: 8\nevent: st'],
        'break',
      ),
      drop,
      stream([event('step', {}, 9)]),
      stream([event('progress', progress(100)), END]),
    ],
    jobs: [running, running, running, completed],
  });
  await wait();
  expect(streams().map(({ headers }) => headers['last-event-id'])).toEqual([undefined, '7', '7', '9']);
});

test.each<[string, Act]>([
  ['a proxy that knows no streams', page(502)],
  ['a page in their place', page(200)],
  ['connections that break', drop],
  ['streams that end at once', stream([])],
])('%s: the job is looked at instead', async (_name, events) => {
  const told: number[] = [];
  script({
    events: [events],
    jobs: [
      ...Array<Act>(4).fill(running),
      json(200, job('running', { progress: progress(50) })),
      error(503, { code: 'UNAVAILABLE' }),
      drop,
      completed,
    ],
  });
  expect((await wait({ onProgress: ({ percent }) => told.push(percent) })).status).toBe('completed');
  expect([streams().length, told]).toEqual([3, [0, 50, 100]]);
});

test('a job that failed is an error with its code', async () => {
  const failure = { code: 'STORAGE_FULL', message: 'The destination is full.' };
  script({ events: [stream([END])], jobs: [json(200, job('failed', { failure }))] });
  await expect(wait()).rejects.toMatchObject({
    ...{ name: 'TarfleetError', ...failure, status: null, requestId: 'request-of-job', jobId: 'b1' },
  });
  script({ events: [stream([END])], jobs: [json(200, job('cancelled'))] });
  await expect(wait()).rejects.toMatchObject({ code: 'CANCELLED' });
  script({ events: [stream([END])], jobs: [json(200, job('partial'))] });
  expect((await wait()).id).toBe('b1');
});

test('what is wrong with the request itself ends the wait', async () => {
  for (const [status, code] of [
    [401, 'UNAUTHENTICATED'],
    [404, 'NOT_FOUND'],
  ] as const) {
    script({ events: [error(status, { code })], jobs: [error(status, { code })] });
    await expect(wait()).rejects.toMatchObject({ code, status });
    expect(server.seen).toHaveLength(2);
  }
});

test('an API that stays away is told of once patience is over', async () => {
  script({ events: [drop], jobs: [drop] });
  await expect(wait({ patienceMs: 100 })).rejects.toMatchObject({ code: 'CONNECTION_FAILED' });
  expect(server.seen.length).toBeGreaterThan(3);
});

test('signal, time-out and a callback that throws end it, and nothing stays open', async () => {
  const silent = () =>
    script({
      events: [stream([': still here\n\n', event('progress', progress(1))], 'stay')],
      jobs: [running],
    });
  const reason = new Error('enough');
  const asked = new AbortController();
  silent();
  await expect(
    wait({ signal: asked.signal, onProgress: () => setTimeout(() => asked.abort(reason), 20) }),
  ).rejects.toBe(reason);
  silent();
  const late = await wait({ timeoutMs: 150 }).catch((thrown: unknown) => thrown);
  expect(late).toBeInstanceOf(TarfleetError);
  expect(late).toMatchObject({ code: 'TIMED_OUT', jobId: 'b1' });
  silent();
  const fault = new TypeError('a fault of the caller’s');
  await expect(
    wait({
      onProgress: () => {
        throw fault;
      },
    }),
  ).rejects.toBe(fault);
  // The streams themselves were closed by the client: the server still holds them open.
  for (let tries = 0; server.open() > 1 && tries < 100; tries += 1)
    await new Promise((done) => setTimeout(done, 20));
  expect(server.open()).toBeLessThanOrEqual(1);
});

test('a restore is waited for by its job', async () => {
  const { backups } = createClient({ baseUrl: server.url, token: 't', projectId: 1 });
  script({
    events: [stream([END])],
    jobs: [json(200, job('completed', { id: 'j9', kind: 'restore', result: { outcome: 'restored' } }))],
  });
  const ended = await backups.wait({ jobId: 'j9' });
  expect([ended.kind, ended.result, server.seen.at(-1)?.url]).toEqual([
    'restore',
    { outcome: 'restored' },
    '/api/jobs/j9',
  ]);
});
