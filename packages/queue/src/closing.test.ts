import { expect, test } from '@jest/globals';
import type { Delivery } from './index.ts';
import { aJob, eventually, gate, onBothBackends, untilAborted, untilState } from './testing.ts';

onBothBackends((backend) => {
  test('a worker that closes puts its job back in front, and another one ends it', async () => {
    const [producer, first] = [await backend.producer(), await backend.worker()];
    const [job, later] = [aJob(backend.pool()), aJob(backend.pool())];
    later.pool = job.pool;
    const deliveries: Delivery[] = [];
    const consumer = await first.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: untilAborted(deliveries),
    });
    await producer.enqueue(job);
    await eventually(() => deliveries[0]);
    await producer.enqueue(later);
    await consumer.close(50);
    expect(deliveries[0]?.signal.reason).toMatchObject({ code: 'WORKER_STOPPING' });
    expect(consumer.running()).toEqual([]);
    expect(await producer.state(job)).toEqual({ state: 'waiting' });
    // A worker had it in hand, which the state alone does not tell.
    expect([await producer.hasBegun(job), await producer.hasBegun(later)]).toEqual([true, false]);
    const second = await backend.worker();
    const seen: Delivery[] = [];
    await second.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async (delivery) => {
        seen.push(delivery);
        return 'ended here';
      },
    });
    expect(await untilState(producer, job, 'completed')).toMatchObject({ result: 'ended here' });
    await untilState(producer, later, 'completed');
    expect(seen.map((one) => [one.jobId, one.attempt])).toEqual([
      [job.jobId, 1002],
      [later.jobId, 1001],
    ]);
    // It did not count as a try.
    expect(seen[0]?.isLastTry).toBe(false);
    expect(seen[0]?.token).not.toBe(deliveries[0]?.token);
  });

  test('a job that ends within the grace is completed, and no other is taken meanwhile', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const [job, later] = [aJob(backend.pool()), aJob(backend.pool())];
    later.pool = job.pool;
    const { opened, open } = gate();
    const started: string[] = [];
    const consumer = await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async ({ jobId, signal }) => {
        started.push(jobId);
        await opened;
        return signal.aborted;
      },
    });
    await producer.enqueue(job);
    await eventually(() => started[0]);
    await producer.enqueue(later);
    const closed = consumer.close(30_000);
    open();
    await closed;
    expect(await producer.state(job)).toEqual({ state: 'completed', result: false });
    expect(await producer.state(later)).toEqual({ state: 'waiting' });
    expect(started).toEqual([job.jobId]);
  });

  test('a handler that does not listen does not keep the worker from closing; its job is tried again', async () => {
    const [producer, deaf] = [await backend.producer(), await backend.worker({ stopMs: 300 })];
    const job = aJob(backend.pool());
    const { opened, open } = gate();
    let started = false;
    await deaf.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async () => {
        started = true;
        await opened;
        return 'too late';
      },
    });
    await producer.enqueue(job);
    await eventually(() => (started ? true : undefined));
    await deaf.close();
    const second = await backend.worker();
    await second.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async ({ attempt }) => attempt,
    });
    expect(await untilState(producer, job, 'completed')).toMatchObject({ result: 1002 });
    open();
  });

  test('closing twice, closing while idle, and calls on what is closed', async () => {
    const [producer, worker, events] = [
      await backend.producer(),
      await backend.worker(),
      await backend.events(),
    ];
    const pool = backend.pool();
    const consumer = await worker.consume({ pool, kind: 'sweep', concurrency: 2, handler: async () => 1 });
    await Promise.all([worker.ping(), producer.ping()]);
    await Promise.all([consumer.close(0), consumer.close(10), worker.close(), worker.close()]);
    await events.onMessage(async () => {});
    await events.onProgress([pool], () => {});
    await Promise.all([events.close(), events.close(), producer.close()]);
    await expect(producer.enqueue(aJob(pool))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(
      worker.consume({ pool, kind: 'sweep', concurrency: 1, handler: async () => 1 }),
    ).rejects.toMatchObject({ code: 'WORKER_STOPPING' });
  });
});
