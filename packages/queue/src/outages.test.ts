import { spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import type { EventBatch, FleetMessage, Progress } from '@tarfleet/contracts';
import { type RunningRedis, startRedis } from '@tarfleet/testbed';
import pg from 'pg';
import { createQueueProducer, type Delivery, migrateQueue, type QueueJob } from './index.ts';
import { aJob, type Backend, createOpener, eventually, gate, testLogger, untilState } from './testing.ts';

const GONE_MS = 10_500;
/** As in production: an outage of ten seconds does not outlast the lock. */
const SETTINGS = { lockMs: 30_000, callMs: 2_000 };

const message = (jobId: string): EventBatch => ({
  ...{ v: 1, type: 'events', jobId, kind: 'artifact', attempt: 1001, token: 'aaaaaaaaaaaa' },
  events: [{ type: 'started', worker: 'w', seq: 1, at: new Date().toISOString() }],
});
const report: Omit<Progress, 'attempt' | 'n'> = {
  ...{ phase: 'copy', bytesDone: 1, bytesTotal: null, filesDone: 0, filesTotal: null },
  ...{ current: null, bytesPerSecond: null, secondsLeft: null },
};

/** A whole fleet at work: a job half done, another kind idle, a recorder, a progress listener. */
async function startFleet(backend: Backend, pool: string) {
  const producer = await backend.producer(SETTINGS);
  const worker = await backend.worker(SETTINGS);
  const events = await backend.events(SETTINGS);
  const messages: FleetMessage[] = [];
  const progress: string[] = [];
  await events.onMessage(async (one) => void messages.push(one));
  await events.onProgress([pool], (jobId) => void progress.push(jobId));
  const { opened, open } = gate();
  let running: Delivery | undefined;
  await worker.consume({
    ...{ pool, kind: 'artifact', concurrency: 2 },
    handler: async (delivery) => {
      running = delivery;
      await opened;
      await delivery.assertOwned();
      return 'done after all';
    },
  });
  await worker.consume({
    ...{ pool, kind: 'verify', concurrency: 2 },
    handler: async (delivery) => {
      delivery.progress(report);
      return 'verified';
    },
  });
  const job = aJob(pool, 'artifact');
  await producer.enqueue(job);
  const delivery = await eventually(() => running);
  return { producer, worker, events, messages, progress, job, delivery, finish: open };
}
type Fleet = Awaited<ReturnType<typeof startFleet>>;

async function expectFastRefusals({ producer, worker, job, delivery }: Fleet): Promise<void> {
  const other = aJob(job.pool);
  const calls = [
    () => producer.enqueue(other),
    () => producer.enqueueFlow(aJob(job.pool, 'backup'), [aJob(job.pool, 'artifact')]),
    () => producer.state(job),
    () => producer.remove(job),
    () => producer.removeWaitingChildren(job),
    () => producer.requestCancel(other.jobId, 'no'),
    () => producer.clearCancel(other.jobId),
    () => producer.depth([job.pool, 'another-pool']),
    () => producer.ping(),
    () => worker.ping(),
    () => delivery.assertOwned(),
  ];
  // A call that hangs fails the test by jest's own limit.
  const results = await Promise.allSettled(calls.map((call) => call()));
  for (const result of results) {
    expect(result).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE', retryable: true } });
  }
}

async function expectRecovery(fleet: Fleet, published: Promise<void>, batch: EventBatch): Promise<void> {
  const { producer, messages, progress, job } = fleet;
  await published;
  await eventually(() => messages.find((one) => one.type === 'events' && one.jobId === batch.jobId));
  const next: QueueJob[] = [];
  await eventually(async () => {
    const verify = aJob(job.pool);
    next.push(verify);
    // The first calls may still meet a connection that is being made.
    await producer.enqueue(verify).catch(() => undefined);
    await sleep(300);
    return progress.some((jobId) => next.some((one) => one.jobId === jobId)) ? true : undefined;
  });
  await producer.ping();
}

/** Closes everything while the server is away, with a handler at its end and one that listens to its signal. */
async function expectClosing(backend: Backend, stopServer: () => Promise<void>): Promise<void> {
  const fleet = await startFleet(backend, backend.pool());
  const consumer = await fleet.worker.consume({
    ...{ pool: fleet.job.pool, kind: 'delete', concurrency: 1 },
    handler: ({ signal }) =>
      new Promise((_, reject) => {
        signal.addEventListener('abort', () => reject(signal.reason));
      }),
  });
  await fleet.producer.enqueue(aJob(fleet.job.pool, 'delete'));
  await eventually(() => consumer.running()[0]);
  await stopServer();
  const published = fleet.worker.publish(message(randomUUID()));
  fleet.finish();
  const closed = [fleet.worker, fleet.producer, fleet.events].map((object) => object.close());
  await expect(published).rejects.toMatchObject({ code: 'WORKER_STOPPING' });
  await Promise.all(closed);
}

async function startServer(dir: string, port = ''): Promise<{ url: string; stop(): Promise<void> }> {
  const args = ['--import', 'tsx', join(__dirname, 'testing-postgres.ts'), dir, port];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  const [url] = (await once(createInterface({ input: child.stdout }), 'line')) as [string];
  return {
    url,
    async stop() {
      if (child.exitCode !== null) return;
      child.stdin.end();
      await once(child, 'exit');
    },
  };
}

describe('Redis', () => {
  let redis: RunningRedis;
  const { backend, closeAll } = createOpener(() => redis.url());
  beforeAll(async () => {
    redis = await startRedis();
  });
  afterEach(closeAll);
  afterAll(() => redis.stop());

  test('is gone for ten seconds and comes back empty', async () => {
    const fleet = await startFleet(backend, backend.pool());
    const { port } = redis;
    await redis.stop();
    const goneUntil = Date.now() + GONE_MS;
    const batch = message(randomUUID());
    const published = fleet.worker.publish(batch);
    await expectFastRefusals(fleet);
    await sleep(goneUntil - Date.now());
    redis = await startRedis({ port });
    await expectRecovery(fleet, published, batch);
    // Its lock went with the server; the reconciler sends the job again.
    await eventually(() => (fleet.delivery.signal.aborted ? true : undefined));
    expect(fleet.delivery.signal.reason).toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    fleet.finish();
    expect(await fleet.producer.state(fleet.job)).toEqual({ state: 'missing' });
  });

  test('hangs for ten seconds without a word', async () => {
    const fleet = await startFleet(backend, backend.pool());
    redis.process.kill('SIGSTOP');
    const goneUntil = Date.now() + GONE_MS;
    const batch = message(randomUUID());
    const published = fleet.worker.publish(batch);
    await expectFastRefusals(fleet);
    await sleep(goneUntil - Date.now());
    redis.process.kill('SIGCONT');
    await expectRecovery(fleet, published, batch);
    expect(fleet.delivery.signal.aborted).toBe(false);
    fleet.finish();
    expect(await untilState(fleet.producer, fleet.job, 'completed')).toMatchObject({
      result: 'done after all',
    });
  });

  test('is gone while everything closes', async () => {
    await expectClosing(backend, () => redis.stop());
  });
});

describe('Postgres', () => {
  let dir = '';
  let server: Awaited<ReturnType<typeof startServer>>;
  const { backend, closeAll } = createOpener(() => server.url);
  beforeAll(async () => {
    dir = await mkdtemp(join(tmpdir(), 'tarfleet-queue-'));
    await chmod(dir, 0o755);
    server = await startServer(join(dir, 'postgres'));
    await migrateQueue(server.url);
  });
  afterEach(closeAll);
  afterAll(async () => {
    await server.stop();
    await rm(dir, { recursive: true, force: true });
  });

  test('is gone for ten seconds; finished work is recorded when it is back', async () => {
    const fleet = await startFleet(backend, backend.pool());
    const { port } = new URL(server.url);
    await server.stop();
    const goneUntil = Date.now() + GONE_MS;
    const batch = message(randomUUID());
    const published = fleet.worker.publish(batch);
    await expectFastRefusals(fleet);
    await sleep(goneUntil - Date.now());
    server = await startServer(join(dir, 'postgres'), port);
    await expectRecovery(fleet, published, batch);
    expect(fleet.delivery.signal.aborted).toBe(false);
    fleet.finish();
    expect(await untilState(fleet.producer, fleet.job, 'completed')).toMatchObject({
      result: 'done after all',
    });
  });

  test('cuts every connection', async () => {
    const fleet = await startFleet(backend, backend.pool());
    const batch = message(randomUUID());
    const admin = new pg.Client({ connectionString: server.url });
    await admin.connect();
    for (let round = 0; round < 3; round += 1) {
      await admin.query(
        'select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()',
      );
      await sleep(200);
    }
    await admin.end();
    await expectRecovery(fleet, fleet.worker.publish(batch), batch);
    fleet.finish();
    expect(await untilState(fleet.producer, fleet.job, 'completed')).toMatchObject({
      result: 'done after all',
    });
  });

  test('is gone while everything closes', async () => {
    await expectClosing(backend, () => server.stop());
  });
});

test('what cannot be reached at the start is refused soon', async () => {
  const refused = { code: 'UNAVAILABLE', retryable: true };
  for (const url of ['redis://127.0.0.1:9/0', 'postgres://u:p@127.0.0.1:9/q']) {
    const options = { url, logger: testLogger(), settings: { callMs: 1_000 } };
    await expect(createQueueProducer(options)).rejects.toMatchObject(refused);
    await expect(migrateQueue(url)).rejects.toMatchObject(refused);
  }
});
