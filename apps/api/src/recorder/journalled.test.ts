import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import type { JobDraft } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import {
  createQueueProducer,
  createQueueWorker,
  type Delivery,
  migrateQueue,
  type QueueProducer,
  type QueueWorker,
} from '@tarfleet/queue';
import { createTestDatabase, type TestDatabase } from '@tarfleet/testbed';
import { cancelJob } from '../cancel.ts';
import { openRestoreFixture, type RestoreFixture, restoreResult } from '../testing/restore-fixture.ts';
import { attemptOf, STARTED, silent } from '../testing/run-fixture.ts';
import { MOST_GENERATIONS, pauseAfter } from './journalled.ts';
import { type Reconciler, startReconciler } from './reconcile.ts';

let f: RestoreFixture;
let queueDatabase: TestDatabase;
let queue: QueueProducer;
let worker: QueueWorker;
const running: Reconciler[] = [];
const closers: (() => Promise<void>)[] = [];

beforeAll(async () => {
  f = await openRestoreFixture();
  queueDatabase = await createTestDatabase();
  await migrateQueue(queueDatabase.url);
  const options = { url: queueDatabase.url, logger: silent };
  queue = await createQueueProducer(options);
  worker = await createQueueWorker(options);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await Promise.all(closers.splice(0).map((close) => close()));
});
afterAll(async () => {
  await worker.close();
  await queue.close();
  await queueDatabase.drop();
  await f.t.close();
});

const base = () => ({ db: f.t.db, queue, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
const reconcile = (patienceMs = 300): void => {
  const { dispatcherOn, keys } = f.t;
  const more = {
    dispatcher: dispatcherOn(queue),
    keys,
    everyMs: 50,
    patienceMs,
    testWaitsMs: 60_000,
    retentionEveryMs: 0,
    surveyEveryMs: 0,
  };
  running.push(startReconciler({ ...base(), ...more }));
};
const until = async (look: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (await look()) return;
    await sleep(25);
  }
  throw new Error('it did not happen within 30 s');
};
const read = async ({ id }: { id: string }) => (await f.t.db.jobs.get(id))!;
const refOf = ({ id, pool, kind }: JobDraft) => ({ jobId: id, pool, kind });
const stateOf = async (job: JobDraft) => (await queue.state(refOf(job))).state;
const cancel = async (job: JobDraft) => cancelJob(base(), await read(job), 'enough');
const sent = async () => {
  const job = await f.start((await f.backedUp()).backup);
  await f.t.dispatcherOn(queue).send(job);
  return job;
};
/** What a worker makes of the jobs of this test's; those of others it leaves alone. */
const work = async (job: JobDraft, handler: (delivery: Delivery) => Promise<unknown>) => {
  const { pool, kind } = job;
  const consumer = await worker.consume({
    ...{ pool, kind, concurrency: 4 },
    handler: (one) =>
      one.jobId === job.id ? handler(one) : Promise.reject(new AppError('NOT_FOUND', 'of another test')),
  });
  const close = () => consumer.close(0);
  closers.push(close);
  return close;
};

test('a restore that no worker has begun ends at once when it is cancelled', async () => {
  const job = await sent();
  expect(await cancel(job)).toMatchObject({ state: 'cancelled', failure: { code: 'CANCELLED' } });
  expect(await stateOf(job)).toBe('missing');
});

test.each(['an event', 'the queue alone'])(
  'one of which %s tells that a worker had it is delivered once more, cancelled',
  async (who) => {
    const job = await sent();
    if (who === 'an event') await f.recorder.record(attemptOf(job)(1, STARTED));
    else {
      let taken = false;
      const close = await work(job, async ({ signal }) => {
        taken = true;
        await new Promise((_resolve, reject) =>
          signal.addEventListener('abort', () => reject(signal.reason)),
        );
      });
      await until(async () => taken);
      await close();
    }
    expect(await stateOf(job)).toBe('waiting');
    expect(await cancel(job)).toMatchObject({ endedAt: null, cancelReason: 'enough' });
    expect(await stateOf(job)).toBe('waiting');
    let seen: unknown;
    await work(job, async ({ signal }) => {
      seen = signal.reason;
      return restoreResult();
    });
    await until(async () => seen !== undefined);
    expect(seen).toMatchObject({ code: 'CANCELLED', message: 'enough' });
  },
);

test('one that the queue lost, wish and all, is sent again and still cancelled', async () => {
  const job = await sent();
  await cancel(await begun(job));
  await queue.remove(refOf(job));
  await queue.clearCancel(job.id);
  reconcile();
  await until(async () => (await read(job)).generation === 2 && (await stateOf(job)) === 'waiting');
  let seen: unknown;
  await work(job, async ({ signal }) => {
    seen = signal.reason;
    return restoreResult();
  });
  await until(async () => seen !== undefined);
  expect(seen).toMatchObject({ code: 'CANCELLED' });
});

test('one that failed without an end is taken up again after a pause, or at once to be cancelled', async () => {
  const job = await begun(await sent());
  const close = await work(job, async () => {
    throw new AppError('WORKER_LOST', 'It died.');
  });
  await until(async () => (await stateOf(job)) === 'failed');
  await close();
  reconcile();
  await until(async () => (await read(job)).generation === 2);
  expect(await read(job)).toMatchObject({ endedAt: null, dispatchedAt: null });
  expect(await stateOf(job)).toBe('missing');
  const due = async () => (await f.t.db.jobs.undispatched(new Date(), 1000)).map(({ id }) => id);
  expect(await due()).not.toContain(job.id);
  await Promise.all(running.splice(0).map((one) => one.stop()));
  await cancel(job);
  expect(await due()).toContain(job.id);
  reconcile();
  await until(async () => (await stateOf(job)) === 'waiting');
  expect((await read(job)).endedAt).toBe(null);
});

test('after twenty times it ends, and says where to look', async () => {
  const job = await begun(await sent());
  for (let more = 1; more < MOST_GENERATIONS; more += 1) await f.t.db.jobs.markLost([job.id]);
  await f.t.dispatcherOn(queue).send(job);
  const close = await work(job, async () => {
    throw new AppError('CONNECTION_LOST', 'The cable is cut.');
  });
  await until(async () => (await stateOf(job)) === 'failed');
  await close();
  reconcile();
  await until(async () => (await read(job)).endedAt !== null);
  const { failure, state } = await read(job);
  expect([state, failure?.code]).toEqual(['failed', 'WORKER_LOST']);
  for (const word of [f.t.server.name, `/var/lib/tarfleet/restores/${job.id}`, 'The cable is cut.']) {
    expect(failure?.message).toContain(word);
  }
  expect(await f.t.db.restores.get(job.id)).toMatchObject({ status: 'failed' });
});

test('pauses grow to an hour, and last half a day in all', () => {
  const pauses = Array.from({ length: MOST_GENERATIONS - 1 }, (_, index) => pauseAfter(index + 1));
  expect([pauses[0], pauses[1], pauses.at(-1)]).toEqual([5_000, 10_000, 3_600_000]);
  expect(pauses.reduce((sum, one) => sum + one) / 3_600_000).toBeGreaterThan(10);
});

test('a way back whose time is over is removed by one job; where it cannot be, later', async () => {
  const ended = async (change: { serverId?: string } = {}) => {
    const { backup } = await f.backedUp();
    const target = change.serverId ? await f.t.db.servers.get(change.serverId) : null;
    const job = await f.start(backup, { keepHours: 0, target });
    await f.end(job, { state: 'completed', result: restoreResult({ rollbackPath: '/var/kept' }) });
    return job;
  };
  const gone = await f.t.addServer();
  const [one, two] = [await ended(), await ended({ serverId: gone.id })];
  await f.t.db.servers.update(gone.id, { hostKeyFingerprint: null });
  reconcile(60_000);
  reconcile(60_000);
  const restore = async ({ id }: JobDraft) => (await f.t.db.restores.get(id))!;
  await until(async () => (await restore(one)).rollbackJobId !== null);
  await until(async () => (await restore(two)).forgetTries > 0);
  const { rollbackJobId } = await restore(one);
  expect(JSON.parse((await read({ id: rollbackJobId! })).plan)).toMatchObject({
    ...{ kind: 'rollback', action: 'forget', restoreJobId: one.id, services: [], stopOrder: [] },
  });
  expect(await restore(two)).toMatchObject({ rollbackPath: '/var/kept', rollbackJobId: null });
  await sleep(300);
  expect((await restore(one)).rollbackJobId).toBe(rollbackJobId);
  const rollback = { id: rollbackJobId!, kind: 'rollback' as const };
  const result = { kind: 'rollback', action: 'forget', restored: [], notRunning: [] } as const;
  await f.end(rollback, { state: 'completed', result: { ...result, restored: [], notRunning: [] } });
  expect(await restore(one)).toMatchObject({ status: 'completed', rollbackPath: null });
});

async function begun(job: JobDraft): Promise<JobDraft> {
  await f.recorder.record(attemptOf(job)(1, STARTED));
  return job;
}
