import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { createAuditId, type JobRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import {
  createQueueProducer,
  createQueueWorker,
  migrateQueue,
  type QueueProducer,
  type QueueWorker,
} from '@tarfleet/queue';
import { createTestDatabase, type TestDatabase } from '@tarfleet/testbed';
import { cancelJob } from '../cancel.ts';
import { planDestinationTest } from '../planner/on-target.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';
import { type Reconciler, type ReconcilerOptions, startReconciler } from './reconcile.ts';
import { createRecorder } from './record.ts';

let t: RunFixture;
let queueDatabase: TestDatabase;
let queue: QueueProducer;
let worker: QueueWorker;
const ended: string[] = [];
const running: Reconciler[] = [];
const onEnded = (job: JobRecord): void => void ended.push(job.id);

beforeAll(async () => {
  t = await openRunFixture();
  queueDatabase = await createTestDatabase();
  await migrateQueue(queueDatabase.url);
  const options = { url: queueDatabase.url, logger: silent };
  queue = await createQueueProducer(options);
  worker = await createQueueWorker(options);
});
afterEach(async () => {
  await Promise.all(running.splice(0).map((one) => one.stop()));
});
afterAll(async () => {
  await worker.close();
  await queue.close();
  await queueDatabase.drop();
  await t.close();
});

const reconcile = (change: Partial<ReconcilerOptions> = {}): void => {
  running.push(
    startReconciler({
      ...{ db: t.db, queue, dispatcher: t.dispatcherOn(queue), keys: t.keys, logger: silent },
      ...{ sweepGraceMs: 0, everyMs: 50, patienceMs: 300, testWaitsMs: 60_000, onEnded },
      ...{ retentionEveryMs: 50, surveyEveryMs: 0 },
      ...change,
    }),
  );
};
const until = async (look: () => Promise<boolean>): Promise<void> => {
  for (let tries = 0; tries < 1200; tries += 1) {
    if (await look()) return;
    await sleep(25);
  }
  throw new Error('it did not happen within 30 s');
};
const read = async (id: string) => (await t.db.jobs.get(id))!;
const refOf = ({ id, pool, kind }: JobRecord) => ({ jobId: id, pool, kind });
const stateOf = async (job: JobRecord) => (await queue.state(refOf(job))).state;
const stored = async () => t.storeBackup([await t.addService(t.server.id)]);
const sent = async () => {
  const run = await stored();
  await t.dispatcherOn(queue).send(run.job);
  return run;
};

test('what was accepted while the queue was down is sent, one that cannot be sent in no-one’s way', async () => {
  const [broken, run] = [await stored(), await stored()];
  const dispatcher = t.dispatcherOn(queue);
  reconcile({
    dispatcher: {
      ...dispatcher,
      send: (root) =>
        root.id === broken.job.id ? Promise.reject(new AppError('INTERNAL', 'no')) : dispatcher.send(root),
    },
  });
  await until(async () => (await read(run.job.id)).dispatchedAt !== null);
  expect(await stateOf(run.job)).toBe('waiting-children');
  expect((await read(run.children[0]!.id)).dispatchedAt).not.toBe(null);
  expect((await read(broken.job.id)).dispatchedAt).toBe(null);
});

test('what the queue lost is sent again, under the next generation, its children too', async () => {
  const { job, children } = await sent();
  expect(await queue.remove(refOf(job))).toBe(true);
  reconcile();
  await until(
    async () => (await read(job.id)).generation === 2 && (await read(job.id)).dispatchedAt !== null,
  );
  await Promise.all(running.splice(0).map((one) => one.stop()));
  expect((await read(children[0]!.id)).generation).toBe(2);
  expect(await stateOf(job)).toBe('waiting-children');
});

test('a test of a destination that no worker takes ends, and says which pool has none', async () => {
  const { id } = await t.db.destinations.create({
    ...{ name: 'untaken', type: 'local', config: { path: '/srv' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
  const destination = (await t.db.destinations.get(id))!;
  const plan = await planDestinationTest(t, destination, 'default', { userId: null, requestId: 'r' });
  await t.dispatcherOn(queue).submit(plan);
  const job = await read(plan.root.id);
  reconcile();
  await sleep(300);
  expect(await read(job.id)).toMatchObject({ state: 'queued', endedAt: null });
  reconcile({ testWaitsMs: 200 });
  await until(async () => (await read(job.id)).endedAt !== null);
  expect(await read(job.id)).toMatchObject({
    state: 'failed',
    failure: {
      code: 'UNAVAILABLE',
      retryable: true,
      message: expect.stringMatching(/pool default .*none runs/),
    },
  });
  expect(ended).toContain(job.id);
  await until(async () => (await stateOf(job)) === 'missing');
});

test('a job that has been sent, or has ended, since a list was read is not sent again', async () => {
  const { job } = await sent();
  await queue.remove(refOf(job));
  await t.dispatcherOn(queue).send(job);
  expect(await stateOf(job)).toBe('missing');
  await t.db.jobs.markLost([job.id]);
  await t.db.jobs.change(job.id, { state: 'cancelled', endedAt: new Date() });
  await t.dispatcherOn(queue).send(job);
  expect(await stateOf(job)).toBe('missing');
});

test('what the queue has ended without the news of it is ended here, and leaves the queue', async () => {
  const pool = 'default';
  const { job, children } = await sent();
  const { keyPrefix } = (await t.db.backups.get(job.id))!;
  const result = artifactResult(children[0]!.id, keyPrefix);
  const mine = new Set([job.id, children[0]!.id]);
  const handler = async ({ jobId }: { jobId: string }) => {
    if (!mine.has(jobId)) throw new AppError('NOT_FOUND', 'of another test');
    return jobId === job.id ? backupResult(keyPrefix, { artifacts: [result] }) : result;
  };
  const consumers = [
    await worker.consume({ pool, kind: 'artifact', concurrency: 4, handler }),
    await worker.consume({ pool, kind: 'backup', concurrency: 4, handler }),
  ];
  await until(async () => (await stateOf(job)) === 'completed');
  await Promise.all(consumers.map((consumer) => consumer.close(0)));
  reconcile();
  await until(async () => (await read(job.id)).endedAt !== null);
  expect(await read(job.id)).toMatchObject({ state: 'completed', result: { kind: 'backup' } });
  expect(await t.db.backups.get(job.id)).toMatchObject({ status: 'completed' });
  expect((await read(children[0]!.id)).state).toBe('completed');
  expect(ended).toContain(job.id);
  await until(async () => (await stateOf(job)) === 'missing');
});

test('an end behind a gap counts after a while', async () => {
  const { job } = await sent();
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded });
  const batch = attemptOf(job);
  await recorder.record(batch(1, STARTED));
  const failure = { code: 'SERVER_UNREACHABLE', message: 'no', retryable: false } as const;
  await recorder.record(batch(3, { type: 'ended', state: 'failed', failure }));
  expect((await read(job.id)).endedAt).toBe(null);
  reconcile();
  await until(async () => (await read(job.id)).endedAt !== null);
  expect(await read(job.id)).toMatchObject({ state: 'failed', failure: { code: 'SERVER_UNREACHABLE' } });
});

test('a wish to cancel from when the queue was down ends what was never sent', async () => {
  const { job } = await stored();
  const options = { db: t.db, queue: queueThatIsDown(), logger: silent, sweepGraceMs: 0, onEnded };
  expect(await cancelJob(options, job, 'no more')).toMatchObject({ endedAt: null, cancelReason: 'no more' });
  reconcile();
  await until(async () => (await read(job.id)).endedAt !== null);
  expect(await read(job.id)).toMatchObject({ state: 'cancelled', dispatchedAt: null });
  await expect(cancelJob(options, job, 'again')).rejects.toMatchObject({ code: 'JOB_FINISHED' });
});

test('leases of ended jobs come back', async () => {
  const service = await t.addService(t.server.id);
  const { job } = await t.storeBackup([service]);
  await t.db.jobs.change(job.id, { state: 'failed', endedAt: new Date() });
  reconcile();
  const other = (await stored()).job;
  await until(async () => (await t.db.leases.take(other.id, 'backup', [service.id])).length === 0);
});

test('an action whose process died before it answered becomes a row of unknown outcome', async () => {
  const at = new Date(Date.now() - 11 * 60_000);
  const entry = {
    ...{
      id: createAuditId(at),
      at,
      userId: t.user.id,
      userEmail: t.user.email,
      via: 'session',
      tokenId: null,
    },
    ...{ tokenName: null, action: 'server.delete', method: 'DELETE', route: '/api/servers/:id' },
    ...{
      targetType: 'server',
      targetId: t.server.id,
      projectId: t.project.id,
      status: null,
      errorCode: null,
    },
    ...{ outcome: 'unknown' as const, requestId: 'died', ip: '::1', details: {} },
  };
  await t.db.auditLog.begin(entry);
  reconcile();
  const rows = () => t.db.auditLog.list({ seenBy: null, requestId: 'died', limit: 10 });
  while ((await rows()).length === 0) await sleep(20);
  expect(await rows()).toEqual([entry]);
});

test('two reconcilers plan one sweep', async () => {
  const { job, children } = await stored();
  for (const { id } of [...children, job])
    await t.db.jobs.change(id, { state: 'failed', endedAt: new Date() });
  await t.db.backups.change(job.id, { status: 'failed', sweepAfter: new Date(Date.now() - 1000) });
  reconcile();
  reconcile();
  await until(async () => (await t.db.jobs.unfinishedOf(job.id)).length > 0);
  await sleep(500);
  expect(await t.db.jobs.unfinishedOf(job.id)).toMatchObject([{ kind: 'sweep' }]);
});
