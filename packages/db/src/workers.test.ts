import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Heartbeat } from '@tarfleet/contracts';
import { v7 } from 'uuid';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;

beforeAll(async () => {
  db = await openMigratedDatabase();
});

afterAll(async () => {
  await db.close();
});

function beat(changes: Partial<Heartbeat> = {}): Heartbeat {
  const at = new Date().toISOString();
  return {
    v: 1,
    type: 'heartbeat',
    workerId: 'w1',
    host: 'node-1',
    pid: 42,
    pool: 'main',
    version: '0.1.0',
    startedAt: '2026-01-01T00:00:00.000Z',
    at,
    stopping: false,
    keyring: { keys: ['key-1', 'old'], primary: 'key-1' },
    jobs: [{ jobId: v7(), kind: 'artifact', since: at }],
    ...changes,
  };
}

test('a heartbeat is stored as it was sent', async () => {
  const sent = beat();
  await db.workers.record(sent);
  expect(await db.workers.get('w1')).toEqual({
    id: 'w1',
    keys: ['key-1', 'old'],
    primaryKey: 'key-1',
    host: 'node-1',
    pid: 42,
    pool: 'main',
    version: '0.1.0',
    startedAt: new Date(sent.startedAt),
    lastSeenAt: new Date(sent.at),
    stopping: false,
    jobs: sent.jobs,
  });
  expect(await db.workers.get('w2')).toBeNull();
});

test('an earlier one that comes late changes nothing', async () => {
  await db.workers.record(beat({ workerId: 'late', at: '2026-01-01T00:00:10.000Z', stopping: true }));
  await db.workers.record(beat({ workerId: 'late', at: '2026-01-01T00:00:05.000Z' }));
  expect(await db.workers.get('late')).toMatchObject({ stopping: true });
});

test('a clock that runs ahead does not keep a worker alive for ever', async () => {
  await db.workers.record(beat({ workerId: 'ahead', at: '2999-01-01T00:00:00.000Z' }));
  const seen = (await db.workers.get('ahead'))?.lastSeenAt.getTime() ?? 0;
  expect(Math.abs(seen - Date.now())).toBeLessThan(600_000);
});

test('lists and purges go by when a worker was last seen', async () => {
  await db.workers.record(beat({ workerId: 'old', pool: 'far', at: '2026-01-01T00:00:00.000Z' }));
  await db.workers.record(beat({ workerId: 'new', pool: 'far' }));
  const ids = async (filter?: { since?: Date; pool?: string }): Promise<string[]> =>
    (await db.workers.list(filter)).map((worker) => worker.id);
  expect(await ids({ pool: 'far' })).toEqual(['new', 'old']);
  expect(await ids({ pool: 'far', since: new Date('2026-01-01T00:00:01Z') })).toEqual(['new']);
  expect(await ids()).toContain('w1');
  await db.workers.purge(new Date('2026-01-01T00:00:01Z'));
  expect(await ids({ pool: 'far' })).toEqual(['new']);
});
