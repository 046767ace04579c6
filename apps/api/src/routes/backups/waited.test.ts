// Answers to requests that started a job and waited for it: what they name, and what a repeat gets.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ErrorCode, JobKind } from '@tarfleet/contracts';
import { type BackupWorld, failure, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
});
afterAll(() => world.close());

const WAIT = { prefer: 'wait=30' };
const send = (method: 'POST' | 'DELETE', url: string, body: object | undefined, key?: string) =>
  world.t.ask(method, url, {
    token: world.token,
    headers: { ...WAIT, ...(key === undefined ? {} : { 'idempotency-key': key }) },
    ...(body === undefined ? {} : { body }),
  });

test.each<[JobKind, 'POST' | 'DELETE', string, object | undefined, ErrorCode, number, string]>([
  ['backup', 'POST', '/api/backups/create', { type: 'full', encrypt: false }, 'SERVER_UNREACHABLE', 502, ''],
  ['restore', 'POST', '/api/backups/:id/restore', undefined, 'CONNECTION_LOST', 500, 'RESTORE_FAILED'],
  ['verify', 'POST', '/api/backups/:id/verify', undefined, 'STORAGE_FAILED', 502, ''],
  ['delete', 'DELETE', '/api/backups/:id?force=true&reason=x', undefined, 'STORAGE_FULL', 507, ''],
  ['server-test', 'POST', '/api/servers/:server/test', undefined, 'WORKER_LOST', 500, ''],
  ['reseal', 'POST', '/api/servers/:server/reseal', undefined, 'PLAN_INVALID', 500, 'INTERNAL'],
  ['destination-test', 'POST', '/api/destinations/:destination/test', undefined, 'WORKER_LOST', 500, ''],
])('a %s that failed is named by its answer, and a repeat starts no other', async (kind, ...rest) => {
  const [method, path, body, code, status, shown] = rest;
  const id = path.includes(':id') ? await world.backedUp() : '';
  const url = path
    .replace(':id', id)
    .replace(':server', world.serverId)
    .replace(':destination', world.destinationId);
  const key = method === 'POST' ? `failed-${kind}` : undefined;
  const waiting = send(method, url, body, key);
  const job = await world.running(kind);
  const early = key === undefined ? null : await send(method, url, body, key);
  await world.end(job, failure(code));
  const answer = await waiting;
  expect([answer.statusCode, answer.json().code]).toEqual([status, shown || code]);
  expect(answer.headers).toMatchObject({
    location: `/api/jobs/${job.id}`,
    'preference-applied': 'wait=30',
  });
  expect(answer.json().details).toMatchObject({ job_id: job.id });
  if (kind === 'backup') expect(answer.json().details).toMatchObject({ backup_id: job.id });
  if (kind === 'restore') expect(answer.json().details).toMatchObject({ restoreJobId: job.id, code });
  if (!early) return;

  expect([early.statusCode, early.json().code]).toEqual([409, 'IDEMPOTENCY_KEY_IN_USE']);
  expect([early.headers.location, early.json().details]).toEqual([`/api/jobs/${job.id}`, { job_id: job.id }]);
  const repeat = await send(method, url, body, key);
  expect([repeat.statusCode, repeat.body]).toEqual([answer.statusCode, answer.body]);
  expect(repeat.headers).toMatchObject({
    location: `/api/jobs/${job.id}`,
    'idempotency-replayed': 'true',
  });
  expect(await unended()).toEqual([]);
});

const unended = async () =>
  (await world.t.db.jobs.unchecked(new Date(Date.now() + 60_000), 100)).map(({ kind }) => kind);

test('a failure of a machine that is not ours is not logged as ours', () => {
  const lines = world.t
    .logged()
    .split('\n')
    .filter((line) => line.includes('"request failed"'));
  expect(lines).toEqual([]);
});

test('a key stays with its job though the answer never came', async () => {
  const url = '/api/backups/create';
  const body = { type: 'full', encrypt: false };
  const key = { 'idempotency-key': 'lost' };
  // As when the process dies while it waits: the answer that would have been kept is not.
  const cut = new Error('the connection to the database broke');
  const replica = await world.t.replica({
    db: {
      ...world.t.db,
      jobs: { ...world.t.db.jobs, get: () => Promise.reject(cut) },
      idempotency: { ...world.t.db.idempotency, finish: () => Promise.reject(cut) },
    },
  });
  const lost = await replica.inject({
    ...{ method: 'POST', url, payload: body },
    headers: { authorization: `Bearer ${world.token}`, ...WAIT, ...key },
  });
  const job = await world.running('backup');
  expect([lost.statusCode, lost.json().details]).toEqual([500, { job_id: job.id }]);
  expect(lost.json().message).toContain(job.id);
  const repeat = await send('POST', url, body, 'lost');
  expect([repeat.statusCode, repeat.json().details]).toEqual([409, { job_id: job.id }]);
  await world.end(job, failure('CONNECTION_LOST'));
});

test('tests and resealing can be waited for', async () => {
  const waiting = send('POST', `/api/servers/${world.serverId}/test`, undefined);
  const job = await world.running('server-test');
  await world.end(job, {
    result: {
      ...{ kind: 'server-test', reachable: true, fingerprint: 'SHA256:abc', tools: { tar: 'tar 1' } },
      ...{ user: 'root', isRoot: true, latencyMs: 3, failure: null },
    },
  });
  const answer = await waiting;
  expect(answer.statusCode).toBe(200);
  expect(answer.json().data).toMatchObject({
    ...{ id: job.id, kind: 'server-test', state: 'completed' },
    result: { reachable: true, is_root: true },
  });
  expect(answer.headers).toMatchObject({
    location: `/api/jobs/${job.id}`,
    'preference-applied': 'wait=30',
  });
});
