import { expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { openHub } from './hub.ts';
import type { Delivery, QueueState } from './index.ts';
import { CANCELS_QUEUE, cancelId } from './names.ts';
import { aJob, eventually, FAST, onBothBackends, testLogger, untilAborted, untilState } from './testing.ts';

function codeOf(state: QueueState): unknown {
  return state.state === 'failed' ? JSON.parse(state.reason).code : state.state;
}

onBothBackends((backend) => {
  test('a running job is cancelled from another process, and only that one', async () => {
    const [producer, other] = [await backend.producer(), await backend.producer()];
    const worker = await backend.worker();
    const [job, bystander] = [aJob(backend.pool()), aJob(backend.pool())];
    const deliveries: Delivery[] = [];
    for (const { pool, kind } of [job, bystander]) {
      await worker.consume({ pool, kind, concurrency: 1, handler: untilAborted(deliveries) });
    }
    await producer.enqueue(job);
    await producer.enqueue(bystander);
    await eventually(() => (deliveries.length === 2 ? true : undefined));
    await other.requestCancel(job.jobId, 'Cancelled by ann \ud83d.');
    await other.requestCancel(job.jobId, 'Cancelled by bob@example.org.');
    const state = await untilState(producer, job, 'failed');
    expect(JSON.parse(state.state === 'failed' ? state.reason : '')).toEqual({
      ...{ code: 'CANCELLED', message: 'Cancelled by ann \ud83d.', retryable: false },
    });
    expect(await producer.state(bystander)).toEqual({ state: 'active' });
    await producer.requestCancel(bystander.jobId, 'both');
    await untilState(producer, bystander, 'failed');
  });

  test('a job that was cancelled before its start begins with an aborted signal', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    const child = aJob(job.pool, 'artifact', { parentJobId: job.jobId });
    await producer.requestCancel(job.jobId, 'too late for you');
    const aborted: unknown[] = [];
    const handler = async ({ signal }: Delivery): Promise<never> => {
      aborted.push(signal.aborted);
      throw signal.reason;
    };
    await worker.consume({ pool: job.pool, kind: job.kind, concurrency: 1, handler });
    await worker.consume({ pool: job.pool, kind: child.kind, concurrency: 1, handler });
    await producer.enqueue(job);
    await producer.enqueue(child);
    expect(codeOf(await untilState(producer, job, 'failed'))).toBe('CANCELLED');
    expect(codeOf(await untilState(producer, child, 'failed'))).toBe('CANCELLED');
    expect(aborted).toEqual([true, true]);
  });

  test("a parent's cancel reaches its running children; a cleared one reaches nobody", async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const parent = aJob(backend.pool(), 'backup');
    const children = [1, 2].map(() => aJob(parent.pool, 'artifact', { parentJobId: parent.jobId }));
    const deliveries: Delivery[] = [];
    await worker.consume({
      ...{ pool: parent.pool, kind: 'artifact', concurrency: 2 },
      handler: untilAborted(deliveries),
    });
    await producer.requestCancel(parent.jobId, 'cleared before anything starts');
    await producer.clearCancel(parent.jobId);
    await producer.clearCancel(parent.jobId);
    await producer.enqueueFlow(parent, children);
    await eventually(() => (deliveries.length === 2 ? true : undefined));
    expect(deliveries.map((delivery) => delivery.signal.aborted)).toEqual([false, false]);
    await producer.requestCancel(parent.jobId, 'the whole backup');
    for (const child of children) {
      expect(codeOf(await untilState(producer, child, 'failed'))).toBe('CANCELLED');
    }
    expect(await producer.state(parent)).toEqual({ state: 'waiting' });
  });

  test('a cancelled job is not tried again, and one that ends well all the same is completed', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const [stumbles, ends] = [aJob(backend.pool()), aJob(backend.pool())];
    let tries = 0;
    const untilCancelled = async ({ signal }: Delivery): Promise<void> => {
      tries += 1;
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
    };
    await worker.consume({
      ...{ pool: stumbles.pool, kind: stumbles.kind, concurrency: 1 },
      handler: async (delivery) => {
        await untilCancelled(delivery);
        throw new AppError('CONNECTION_LOST', 'the socket broke on the way out', { retryable: true });
      },
    });
    await worker.consume({
      ...{ pool: ends.pool, kind: ends.kind, concurrency: 1 },
      handler: async (delivery) => {
        await untilCancelled(delivery);
        return 'was at its end';
      },
    });
    await producer.enqueue(stumbles);
    await producer.enqueue(ends);
    await eventually(() => (tries === 2 ? true : undefined));
    await producer.requestCancel(stumbles.jobId, 'stop');
    await producer.requestCancel(ends.jobId, 'stop');
    expect(codeOf(await untilState(producer, stumbles, 'failed'))).toBe('CANCELLED');
    expect(await untilState(producer, ends, 'completed')).toMatchObject({ result: 'was at its end' });
    expect(tries).toBe(2);
  });

  test('records of long ago are dropped', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const records = await hub.queue(CANCELS_QUEUE);
    const [old, fresh] = [aJob(backend.pool()), aJob(backend.pool())];
    const timestamp = Date.now() - 40 * 24 * 3_600_000;
    await records.add('cancel', {}, { jobId: cancelId(old.jobId), timestamp });
    await producer.requestCancel(fresh.jobId, 'fresh');
    const job = aJob(backend.pool());
    const deliveries: Delivery[] = [];
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: untilAborted(deliveries),
    });
    await producer.enqueue(job);
    await eventually(async () => ((await records.getJob(cancelId(old.jobId))) ? undefined : true));
    expect(await records.getJob(cancelId(fresh.jobId))).toBeDefined();
    await producer.requestCancel(job.jobId, 'enough');
    await untilState(producer, job, 'failed');
    await hub.close();
  });
});
