import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Job } from 'bullmq';
import { settledWithin } from './deadline.ts';
import type { FaultLog } from './fault-log.ts';
import type { JobWorker } from './hub.ts';

export interface JobLoop {
  /** Takes no further job; resolves when none is being fetched. What runs goes on. */
  stop(): Promise<void>;
  /** Resolves when nothing runs. */
  idle(): Promise<void>;
}

export interface JobLoopOptions {
  worker: JobWorker;
  concurrency: number;
  onFault: FaultLog;
  /**
   * Runs one job to its end in the queue. May come back with the next one, fetched in the same step under the
   * same token, while `mayFetch` says so. Must not reject.
   */
  run: (job: Job, token: string, mayFetch: () => boolean) => Promise<Job | undefined>;
  /** Takes back a job that arrived while the loop was being stopped. Must not reject. */
  giveBack: (job: Job, token: string) => Promise<void>;
}

/**
 * Fetches jobs, up to `concurrency` at once, and hands each to `run`. BullMQ's own loop is not used: it ends a
 * job once and fails it when that does not reach the server, and turns without a pause while Postgres starts.
 */
export function startJobLoop(options: JobLoopOptions): JobLoop {
  const { worker, concurrency, onFault } = options;
  const running = new Set<Promise<void>>();
  const stopping = new AbortController();
  let slotFree = (): void => {};

  const mayFetch = (): boolean => !stopping.signal.aborted;

  const runOn = async (first: Job, token: string): Promise<void> => {
    let job: Job | undefined = first;
    while (job && mayFetch()) job = await options.run(job, token, mayFetch);
    if (job) await options.giveBack(job, token);
  };
  const start = (job: Job, token: string): void => {
    const task = runOn(job, token)
      .catch(onFault)
      .finally(() => {
        running.delete(task);
        slotFree();
      });
    running.add(task);
  };
  const pause = (ms: number): Promise<void> =>
    sleep(ms, undefined, { signal: stopping.signal }).catch(() => {
      // The stop ends the pause.
    });

  const fetchJobs = async (): Promise<void> => {
    let emptyTurns = 0;
    while (!stopping.signal.aborted) {
      if (running.size >= concurrency) {
        await new Promise<void>((resolve) => {
          slotFree = resolve;
          if (stopping.signal.aborted) resolve();
        });
        continue;
      }
      const token = randomUUID();
      const began = performance.now();
      try {
        const job = (await worker.getNextJob(token)) as Job | undefined;
        if (job) start(job, token);
        // Usually blocks for seconds; it comes back at once, again and again, while the server is away.
        emptyTurns = job || performance.now() - began > 1_000 ? 0 : emptyTurns + 1;
        if (emptyTurns > 5) await pause(250);
      } catch (error) {
        onFault(error);
        await pause(500);
      }
    }
  };

  worker.startStalledCheckTimer().catch(onFault);
  const fetching = fetchJobs();
  return {
    async stop() {
      stopping.abort();
      slotFree();
      await worker.pause(true);
      // Ends the blocking wait for a next job, so that this does not last for its seconds.
      await settledWithin(1_000, worker.getBackend().disconnectBlocking(true));
      await settledWithin(6_000, fetching);
    },
    async idle() {
      await Promise.all(running);
    },
  };
}
