import { AppError, type Logger } from '@tarfleet/kernel';
import type { CancelWatch } from './cancels.ts';
import { settledWithin } from './deadline.ts';
import { deliver } from './delivery.ts';
import type { Hub } from './hub.ts';
import { startJobLoop } from './job-loop.ts';
import type { LockKeeper } from './lock-keeper.ts';
import { queueName } from './names.ts';
import { settle } from './settle.ts';
import type { ConsumeOptions, Consumer, JobRef } from './types.ts';

export interface ConsumerParts {
  hub: Hub;
  locks: LockKeeper;
  cancels: CancelWatch;
  logger: Logger;
}

/** Starts taking the jobs of one pool and kind. Rejects with UNAVAILABLE when the queue does not answer now. */
export async function startConsumer(options: ConsumeOptions, parts: ConsumerParts): Promise<Consumer> {
  const { hub, locks, cancels, logger } = parts;
  const { pool, kind, concurrency, handler } = options;
  const { settings } = hub;
  const worker = await hub.worker(queueName(options), settings.maxStalls);
  worker.on('stalled', (jobId) =>
    logger.warn({ jobId, kind }, 'job of a silent worker goes back to the queue'),
  );
  const stopping = new AbortController();
  const leaving = new AbortController();
  const current = new Set<JobRef>();

  const loop = startJobLoop({
    worker,
    concurrency,
    onFault: hub.onFault,
    async run(job, token, mayFetch) {
      const ref: JobRef = { jobId: job.id ?? '', pool, kind };
      current.add(ref);
      try {
        return await deliver(job, token, {
          ...{ hub, worker, pool, kind, handler, locks, cancels, logger, mayFetch },
          ...{ stopping: stopping.signal, leaving: leaving.signal },
        });
      } finally {
        current.delete(ref);
      }
    },
    async giveBack(job, token) {
      const hold = locks.hold(job, token, () => {});
      const { backend, onFault } = hub;
      const parts = { worker, job, token, hold, callMs: settings.callMs, backend, logger, onFault };
      await settle({ type: 'put-back' }, { ...parts, signal: leaving.signal, mayFetch: () => false });
      hold.release();
    },
  });

  let closing: Promise<void> | undefined;
  const close = async (graceMs: number): Promise<void> => {
    const stopped = loop.stop();
    const idle = loop.idle();
    if (!(await settledWithin(graceMs, idle))) {
      stopping.abort(
        new AppError('WORKER_STOPPING', 'The worker is stopping; the job goes back to the queue.', {
          retryable: true,
        }),
      );
      if (!(await settledWithin(settings.stopMs, idle))) {
        // Their locks are renewed no more once the process ends, and another worker takes them over.
        const jobs = [...current].map((ref) => ref.jobId);
        logger.error({ jobs, kind }, 'jobs did not stop in time');
      }
    }
    await stopped;
    leaving.abort();
    await settledWithin(1_000, loop.idle());
    await settledWithin(2_000, worker.close(true));
  };
  return {
    running: () => [...current],
    close(graceMs) {
      closing ??= close(graceMs);
      return closing;
    },
  };
}
