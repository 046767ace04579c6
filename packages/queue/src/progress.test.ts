import { expect, test } from '@jest/globals';
import type { Progress } from '@tarfleet/contracts';
import { openHub } from './hub.ts';
import { decodeValue } from './job-data.ts';
import { queueName } from './names.ts';
import { createProgressSender } from './progress.ts';
import { aJob, eventually, FAST, onBothBackends, testLogger, untilState } from './testing.ts';

const report = (bytesDone: number): Omit<Progress, 'attempt' | 'n'> => ({
  ...{ phase: 'copy', bytesDone, bytesTotal: 1_000, filesDone: 0, filesTotal: null },
  ...{ current: 'nul \0 in a name', bytesPerSecond: null, secondsLeft: null },
});

onBothBackends((backend) => {
  test('progress arrives at every listener, not more often than it should, and the last one always', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const [job, foreign] = [aJob(backend.pool(), 'artifact'), aJob(backend.pool(), 'artifact')];
    const heard: { jobId: string; progress: Progress }[][] = [[], []];
    for (const list of heard) {
      const events = await backend.events();
      await events.onProgress([job.pool], (jobId, progress) => {
        list.push({ jobId, progress });
        throw new Error('a listener that fails disturbs nobody');
      });
    }
    let ranMs = 0;
    for (const { pool } of [job, foreign]) {
      await worker.consume({
        ...{ pool, kind: 'artifact', concurrency: 1 },
        handler: async ({ progress }) => {
          const began = Date.now();
          const endAt = began + 2_500;
          let bytes = 0;
          while (Date.now() < endAt) {
            bytes += 1;
            progress(report(bytes));
            await new Promise((resolve) => setTimeout(resolve, 10));
          }
          progress(report(1_000));
          ranMs = Math.max(ranMs, Date.now() - began);
        },
      });
    }
    // A listener hears what happens after it began to listen, which it does on a connection of its own.
    await new Promise((resolve) => setTimeout(resolve, 500));
    await producer.enqueue(job);
    await producer.enqueue(foreign);
    await untilState(producer, job, 'completed');
    for (const list of heard) {
      await eventually(() => list.find((one) => one.progress.bytesDone === 1_000));
      expect(list.length).toBeGreaterThanOrEqual(2);
      // One at the start, one for each second begun, and the last.
      expect(list.length).toBeLessThanOrEqual(Math.ceil(ranMs / 1_000) + 2);
      expect(new Set(list.map((one) => one.jobId))).toEqual(new Set([job.jobId]));
      const numbers = list.map((one) => one.progress.n);
      expect(numbers).toEqual([...numbers].sort((a, b) => a - b));
      expect(list.at(-1)?.progress).toEqual({ ...report(1_000), attempt: 1001, n: numbers.at(-1) });
    }
    await untilState(producer, foreign, 'completed');
  });
});

onBothBackends((backend) => {
  test('the last report is with the job before the job counts as finished', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const job = aJob(backend.pool(), 'artifact');
    await worker.consume({
      ...{ pool: job.pool, kind: job.kind, concurrency: 1 },
      handler: async ({ progress }) => {
        progress(report(1));
        await new Promise((resolve) => setTimeout(resolve, 50));
        progress(report(2));
      },
    });
    await producer.enqueue(job);
    await untilState(producer, job, 'completed');
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const found = await (await hub.queue(queueName(job))).getJob(job.jobId);
    expect(decodeValue(found?.progress)).toEqual({ ...report(2), attempt: 1001, n: 2 });
    await hub.close();
  });
});

test('a sender that fails or hangs disturbs nobody', async () => {
  const faults: unknown[] = [];
  const onFault = (error: unknown): void => void faults.push(error);
  const failing = createProgressSender({
    ...{ attempt: 1, callMs: 1_000, onFault },
    send: async () => {
      throw new Error('down');
    },
  });
  failing.report(report(1));
  await failing.flush();
  expect(faults).toHaveLength(1);
  const hanging = createProgressSender({
    attempt: 1,
    callMs: 20,
    onFault,
    send: () => new Promise(() => {}),
  });
  hanging.report(report(1));
  await hanging.flush();
  hanging.report(report(2));
  await hanging.flush();
  expect(faults).toHaveLength(1);
});
