import { expect, test } from '@jest/globals';
import { JOB_KINDS } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { Queue } from 'bullmq';
import { openHub } from './hub.ts';
import type { Delivery } from './index.ts';
import { queueName } from './names.ts';
import { aJob, eventually, FAST, gate, onBothBackends, testLogger, untilState } from './testing.ts';

onBothBackends((backend) => {
  test('a job is run once however often it is added, and keeps its result', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    await Promise.all([producer.enqueue(job), producer.enqueue(job), producer.enqueue(job)]);
    await producer.enqueue({ ...job, plan: 'another plan' });
    const seen: Delivery[] = [];
    const result = { kind: 'verify', text: 'nul \0 and half a pair \ud800', b: 1, a: [1e21, null] };
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 4 },
      handler: async (delivery) => {
        seen.push(delivery);
        return result;
      },
    });
    expect(await untilState(producer, job, 'completed')).toEqual({ state: 'completed', result });
    await producer.enqueue(job);
    expect(await producer.state(job)).toEqual({ state: 'completed', result });
    expect(seen).toHaveLength(1);
    expect(seen[0]).toMatchObject({
      ...{ jobId: job.jobId, pool: job.pool, kind: job.kind, plan: job.plan },
      ...{ attempt: 1001, isLastTry: false, token: expect.stringMatching(/^[0-9a-f]{12}$/) },
    });
    expect(seen[0]?.signal.aborted).toBe(false);
  });

  test('a retryable failure is tried again after a pause, until the tries are used up', async () => {
    const [producer, worker] = [await backend.producer({ retryDelayMs: 400 }), await backend.worker()];
    const job = aJob(backend.pool(), 'restore', { generation: 7 });
    const tries: Delivery[] = [];
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async (delivery) => {
        tries.push(delivery);
        throw new AppError('CONNECTION_LOST', `lost at try ${tries.length}`, { retryable: true });
      },
    });
    await producer.enqueue(job);
    await untilState(producer, job, 'delayed');
    expect(tries).toHaveLength(1);
    const state = await untilState(producer, job, 'failed');
    expect(JSON.parse(state.state === 'failed' ? state.reason : '')).toEqual({
      ...{ code: 'CONNECTION_LOST', message: 'lost at try 3', retryable: true },
    });
    expect(tries.map((one) => one.attempt)).toEqual([7001, 7002, 7003]);
    expect(tries.map((one) => one.isLastTry)).toEqual([false, false, true]);
    expect(new Set(tries.map((one) => one.token)).size).toBe(3);
  });

  test('a failure that is not retryable ends the job at once; an unknown error hides its text', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    let tries = 0;
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async ({ isLastTry }) => {
        tries += 1;
        if (tries > 1 && isLastTry) throw new AppError('PATH_NOT_FOUND', 'no /srv there');
        throw new Error('secret inside');
      },
    });
    await producer.enqueue(job);
    const state = await untilState(producer, job, 'failed');
    expect(JSON.parse(state.state === 'failed' ? state.reason : '')).toEqual({
      ...{ code: 'PATH_NOT_FOUND', message: 'no /srv there', retryable: false },
    });
    expect(tries).toBe(3);
    const final = aJob(job.pool);
    tries = -10;
    await worker.consume({
      ...{ pool: job.pool, kind: 'delete', concurrency: 1 },
      handler: async () => {
        tries += 1;
        throw new AppError('PATH_NOT_FOUND', 'gone');
      },
    });
    await producer.enqueue({ ...final, kind: 'delete' });
    await untilState(producer, { ...final, kind: 'delete' }, 'failed');
    expect(tries).toBe(-9);
  });

  test('an unreadable job fails with PLAN_INVALID and is not handed out', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    await expect(producer.enqueue({ ...job, generation: 0 })).rejects.toMatchObject({ code: 'PLAN_INVALID' });
    await expect(producer.enqueue({ ...job, jobId: 'x' })).rejects.toMatchObject({ code: 'PLAN_INVALID' });
    await expect(producer.enqueue({ ...job, pool: 'No Pool' })).rejects.toMatchObject({
      code: 'VALIDATION_FAILED',
    });
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const queue = await hub.queue(queueName(job));
    expect(queue).toBeInstanceOf(Queue);
    await queue.add('verify', { plan: 'p', generation: 1, extra: true }, { jobId: job.jobId, attempts: 3 });
    let handed = 0;
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async () => {
        handed += 1;
      },
    });
    const state = await untilState(producer, job, 'failed');
    expect(state).toMatchObject({ reason: expect.stringContaining('PLAN_INVALID') });
    expect(handed).toBe(0);
    await hub.close();
  });

  test('states, depth and removal', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    expect(await producer.state(job)).toEqual({ state: 'missing' });
    expect(await producer.remove(job)).toBe(true);
    await producer.enqueue(job);
    expect(await producer.state(job)).toEqual({ state: 'waiting' });
    expect(await producer.remove(job)).toBe(true);
    expect(await producer.state(job)).toEqual({ state: 'missing' });
    await producer.enqueue(job);
    const { opened, open } = gate();
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: () => opened,
    });
    await untilState(producer, job, 'active');
    expect(await producer.remove(job)).toBe(false);
    expect(await producer.state(job)).toEqual({ state: 'active' });
    const waiting = aJob(job.pool);
    await producer.enqueue(waiting);
    const depth = await producer.depth([job.pool]);
    expect(depth).toHaveLength(JOB_KINDS.length);
    expect(depth.find((entry) => entry.kind === job.kind)).toEqual({
      ...{ pool: job.pool, kind: job.kind, waiting: 1, active: 1, delayed: 0 },
      ...{ waitingChildren: 0, completed: 0, failed: 0 },
    });
    open();
    expect(await untilState(producer, job, 'completed')).toEqual({ state: 'completed', result: null });
    await untilState(producer, waiting, 'completed');
    expect(await producer.remove(job)).toBe(true);
    expect(await producer.state(job)).toEqual({ state: 'missing' });
  });

  test('jobs run side by side up to the concurrency, and consumers tell what runs', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const pool = backend.pool();
    const { opened, open } = gate();
    let most = 0;
    let now = 0;
    const consumer = await worker.consume({
      ...{ pool, kind: 'artifact', concurrency: 3 },
      handler: async () => {
        now += 1;
        most = Math.max(most, now);
        await opened;
        now -= 1;
      },
    });
    const jobs = Array.from({ length: 8 }, () => aJob(pool, 'artifact'));
    await Promise.all(jobs.map((job) => producer.enqueue(job)));
    await eventually(() => (now === 3 ? true : undefined));
    expect(consumer.running()).toHaveLength(3);
    expect(jobs).toEqual(
      expect.arrayContaining(consumer.running().map((ref) => expect.objectContaining({ jobId: ref.jobId }))),
    );
    open();
    await Promise.all(jobs.map((job) => untilState(producer, job, 'completed')));
    expect(most).toBe(3);
    await eventually(() => (consumer.running().length === 0 ? true : undefined));
  });
});
