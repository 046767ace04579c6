import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from '@tarfleet/contracts';
import type { Logger } from '@tarfleet/kernel';
import { Job, type JobJson, UnrecoverableError } from 'bullmq';
import { errorNumber, withDeadline } from './deadline.ts';
import { describeFault, type FaultLog } from './fault-log.ts';
import type { JobWorker } from './hub.ts';
import { encodeValue } from './job-data.ts';
import type { Hold } from './lock-keeper.ts';

/** How a try ends in the queue. */
export type Outcome =
  /** `result` is what `encodeValue` gave. */
  | { type: 'done'; result: string }
  /** Tried again while tries are left, when the failure is retryable. */
  | { type: 'failed'; failure: Failure }
  /** Back to the front, without counting as a try. */
  | { type: 'put-back' }
  /** Again after a pause, without counting as a try. */
  | { type: 'later'; delayMs: number };

export interface SettleOptions {
  worker: JobWorker;
  job: Job;
  token: string;
  hold: Hold;
  callMs: number;
  backend: 'postgres' | 'redis';
  logger: Logger;
  onFault: FaultLog;
  /** Ends the wait for a queue that is down; the job then stalls and is tried again. */
  signal: AbortSignal;
  /** Whether to fetch the next job in the same step, which halves the commits on Postgres. */
  mayFetch: () => boolean;
}

/**
 * Writes a try's end into the queue. While the queue is down it tries again for as long as the lock may be
 * ours, so that finished work is not lost to a short outage. Resolves with the next job, where one was fetched
 * under the same token. Never rejects.
 */
export async function settle(outcome: Outcome, options: SettleOptions): Promise<Job | undefined> {
  const { job, hold, signal, logger } = options;
  for (let pause = 200; ; pause = Math.min(pause * 2, 2_000)) {
    if (hold.lost) {
      logger.info({ outcome: outcome.type }, 'attempt superseded, its end is not recorded');
      return undefined;
    }
    try {
      const moved = move(outcome, options);
      return await withDeadline(options.callMs, () => moved).catch((error: unknown) => {
        // When the answer comes after all, nobody waits for the job in it any more.
        moved.then((late) => late && putBack(late, options)).catch(options.onFault);
        throw error;
      });
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      const number = errorNumber(cause);
      // -1, -2, -3, -6: the job or its lock is gone, or it is not ours. Also after a call that timed out but worked.
      if (number !== undefined && [-1, -2, -3, -6].includes(number)) {
        logger.info(
          { outcome: outcome.type, ...describeFault(cause) },
          'job was not ours any more at its end',
        );
        return undefined;
      }
      if (number !== undefined) {
        logger.error({ jobId: job.id, ...describeFault(cause) }, 'queue refused the end of a job');
        return undefined;
      }
      options.onFault(cause);
    }
    if (signal.aborted) {
      logger.warn({ jobId: job.id }, 'queue is down at shutdown, the job will be tried again');
      return undefined;
    }
    await sleep(pause, undefined, { signal }).catch(() => {
      // One last try follows.
    });
  }
}

async function move(outcome: Outcome, options: SettleOptions): Promise<Job | undefined> {
  const { job, token, mayFetch } = options;
  switch (outcome.type) {
    case 'done':
      return nextJob(await job.moveToCompleted(outcome.result, token, mayFetch()), options);
    case 'failed': {
      const reason = encodeValue(outcome.failure);
      const error = outcome.failure.retryable ? new Error(reason) : new UnrecoverableError(reason);
      return nextJob(await job.moveToFailed(error, token, mayFetch()), options);
    }
    case 'later':
      await job.moveToDelayed(Date.now() + outcome.delayMs, token);
      return undefined;
    case 'put-back':
      await putBack(job, options);
      return undefined;
  }
}

/** BullMQ's answer is `[data, id, ...]`, with nothing in it when no job waits. */
function nextJob(answer: unknown, { worker, token }: SettleOptions): Job | undefined {
  if (!Array.isArray(answer) || !answer[0]) return undefined;
  const job = Job.fromJSON(worker, answer[0] as JobJson, String(answer[1])) as Job;
  job.token = token;
  return job;
}

async function putBack(job: Job, { token, backend }: SettleOptions): Promise<void> {
  await job.moveToWait(token);
  // On Postgres it went to the end of the queue. Whoever has taken it meanwhile keeps it.
  if (backend === 'postgres') await job.changePriority({ priority: 0, lifo: true });
}
