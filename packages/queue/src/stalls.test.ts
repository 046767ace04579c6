import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, expect, test } from '@jest/globals';
import { RedisQueueBackend } from 'bullmq';
import { openHub } from './hub.ts';
import type { Delivery } from './index.ts';
import { queueName } from './names.ts';
import { aJob, eventually, FAST, gate, onBothBackends, testLogger, untilState } from './testing.ts';

interface Said {
  ready?: boolean;
  started?: number;
  token?: string;
  aborted?: string;
  woke?: string;
  attempt?: number;
}

const processes: ChildProcess[] = [];

/** Starts `testing-worker.ts` and collects what it says. */
async function startWorkerProcess(url: string, pool: string): Promise<{ child: ChildProcess; said: Said[] }> {
  const script = join(__dirname, 'testing-worker.ts');
  const args = ['--import', 'tsx', script, url, pool, String(FAST.lockMs)];
  const child = spawn(process.execPath, args, { stdio: ['pipe', 'pipe', 'inherit'] });
  processes.push(child);
  const said: Said[] = [];
  createInterface({ input: child.stdout }).on('line', (line) => said.push(JSON.parse(line) as Said));
  await eventually(() => said.find((one) => one.ready));
  return { child, said };
}

afterEach(async () => {
  for (const child of processes.splice(0)) {
    if (child.exitCode !== null || child.signalCode !== null) continue;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
});

onBothBackends((backend) => {
  test("a killed worker's job is taken over with a higher attempt and another token", async () => {
    const producer = await backend.producer();
    const job = aJob(backend.pool(), 'artifact');
    const { child, said } = await startWorkerProcess(backend.url, job.pool);
    await producer.enqueue(job);
    const first = await eventually(() => said.find((one) => one.started));
    child.kill('SIGKILL');
    await once(child, 'exit');
    const worker = await backend.worker();
    let second: Delivery | undefined;
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async (delivery) => {
        second = delivery;
        await delivery.assertOwned();
        return 'taken over';
      },
    });
    expect(await untilState(producer, job, 'completed')).toMatchObject({ result: 'taken over' });
    expect([first.started, second?.attempt]).toEqual([1001, 1002]);
    expect(second?.token).not.toBe(first.token);
    // A dead worker is no try of the job's own.
    expect(second?.isLastTry).toBe(false);
  });

  test('a worker that was frozen past its lock changes nothing when it wakes', async () => {
    const producer = await backend.producer();
    const job = aJob(backend.pool(), 'artifact');
    const { child, said } = await startWorkerProcess(backend.url, job.pool);
    await producer.enqueue(job);
    await eventually(() => said.find((one) => one.started));
    child.kill('SIGSTOP');
    const worker = await backend.worker();
    const { opened, open } = gate();
    let attempt = 0;
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async (delivery) => {
        attempt = delivery.attempt;
        await opened;
        await delivery.assertOwned();
        return `by attempt ${attempt}`;
      },
    });
    await eventually(() => (attempt === 1002 ? true : undefined));
    child.kill('SIGCONT');
    expect(await eventually(() => said.find((one) => one.woke))).toEqual({
      ...{ woke: 'ATTEMPT_SUPERSEDED', attempt: 1001 },
    });
    expect(await eventually(() => said.find((one) => one.aborted))).toEqual({
      ...{ aborted: 'ATTEMPT_SUPERSEDED', attempt: 1001 },
    });
    open();
    expect(await untilState(producer, job, 'completed')).toMatchObject({ result: 'by attempt 1002' });
  });

  test('a frozen worker may take its own job again: the old try is refused, the new one lives', async () => {
    const producer = await backend.producer();
    const job = aJob(backend.pool(), 'artifact');
    const { child, said } = await startWorkerProcess(backend.url, job.pool);
    await producer.enqueue(job);
    await eventually(() => said.find((one) => one.started));
    child.kill('SIGSTOP');
    // Another process only sweeps, as any worker does, and has no room for the job.
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const sweeper = await hub.worker(queueName(job), 20);
    await eventually(async () => {
      await sweeper.getBackend().moveStalledJobsToWait();
      return (await producer.state(job)).state === 'waiting' ? true : undefined;
    });
    await sweeper.close(true);
    await hub.close();
    child.kill('SIGCONT');
    const again = await eventually(() => said.find((one) => one.started === 1002));
    expect(await eventually(() => said.find((one) => one.woke))).toMatchObject({
      woke: 'ATTEMPT_SUPERSEDED',
    });
    // Longer than the lock: the old try's end must not have ended the renewal of the new one's.
    await new Promise((resolve) => setTimeout(resolve, (FAST.lockMs ?? 0) * 2));
    expect(await producer.state(job)).toEqual({ state: 'active' });
    expect(said.filter((one) => one.started)).toHaveLength(2);
    expect(again.attempt).toBeUndefined();
  });

  test('too many deaths end the job with WORKER_LOST', async () => {
    const producer = await backend.producer();
    const job = aJob(backend.pool(), 'artifact');
    await producer.enqueue(job);
    const { child, said } = await startWorkerProcess(backend.url, job.pool);
    await eventually(() => said.find((one) => one.started));
    child.kill('SIGKILL');
    let handed = 0;
    const worker = await backend.worker({ maxStalls: 0 });
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async () => {
        handed += 1;
      },
    });
    const state = await untilState(producer, job, 'failed');
    expect(JSON.parse(state.state === 'failed' ? state.reason : '')).toMatchObject({ code: 'WORKER_LOST' });
    expect(handed).toBe(0);
  });

  test('a lock that is taken away aborts the delivery, and nothing of it is recorded', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool());
    let first: Delivery | undefined;
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async (delivery) => {
        first ??= delivery;
        await new Promise((resolve) => delivery.signal.addEventListener('abort', resolve));
        return 'must not be recorded';
      },
    });
    await producer.enqueue(job);
    await eventually(() => first);
    await first?.assertOwned();
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const queue = await hub.queue(queueName(job));
    // Token 0 stands above locks.
    await queue.getBackend().moveToDelayed(job.jobId, Date.now(), 3_600_000, '0', { skipAttempt: true });
    // On Redis a lock is a key of its own, which that leaves alone.
    const redis = queue.getBackend();
    if (redis instanceof RedisQueueBackend) await (await redis.client).del(redis.toKey(`${job.jobId}:lock`));
    await eventually(() => (first?.signal.aborted ? true : undefined));
    expect(first?.signal.reason).toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    await expect(first?.assertOwned()).rejects.toMatchObject({ code: 'ATTEMPT_SUPERSEDED' });
    expect(await producer.state(job)).toEqual({ state: 'delayed' });
    await hub.close();
  });
});
