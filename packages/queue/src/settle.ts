import { setTimeout as sleep } from 'node:timers/promises';
import type { Failure } from '@tarfleet/contracts';
import type { Logger } from '@tarfleet/kernel';
import { type Job, UnrecoverableError } from 'bullmq';
import { errorNumber, withDeadline } from './deadline.ts';
import { describeFault, type FaultLog } from './fault-log.ts';
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
  job: Job;
  token: string;
  hold: Hold;
  callMs: number;
  backend: 'postgres' | 'redis';
  logger: Logger;
  onFault: FaultLog;
  /** Ends the wait for a queue that is down; the job then stalls and is tried again. */
  signal: AbortSignal;
}

/**
 * Writes a try's end into the queue. While the queue is down it tries again for as long as the lock may be
 * ours, so that finished work is not lost to a short outage. Never rejects.
 */
export async function settle(outcome: Outcome, options: SettleOptions): Promise<void> {
  const { job, hold, signal, logger } = options;
  for (let pause = 200; ; pause = Math.min(pause * 2, 2_000)) {
    if (hold.lost) {
      logger.info({ outcome: outcome.type }, 'attempt superseded, its end is not recorded');
      return;
    }
    try {
      await withDeadline(options.callMs, () => move(outcome, options));
      return;
    } catch (error) {
      const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
      const number = errorNumber(cause);
      // -1, -2, -3, -6: the job or its lock is gone, or it is not ours. Also after a call that timed out but worked.
      if (number !== undefined && [-1, -2, -3, -6].includes(number)) {
        logger.info(
          { outcome: outcome.type, ...describeFault(cause) },
          'job was not ours any more at its end',
        );
        return;
      }
      if (number !== undefined) {
        logger.error({ jobId: job.id, ...describeFault(cause) }, 'queue refused the end of a job');
        return;
      }
      options.onFault(cause);
    }
    if (signal.aborted) {
      logger.warn({ jobId: job.id }, 'queue is down at shutdown, the job will be tried again');
      return;
    }
    await sleep(pause, undefined, { signal }).catch(() => {
      // One last try follows.
    });
  }
}

async function move(outcome: Outcome, { job, token, backend }: SettleOptions): Promise<void> {
  switch (outcome.type) {
    case 'done':
      await job.moveToCompleted(outcome.result, token, false);
      return;
    case 'failed': {
      const reason = encodeValue(outcome.failure);
      const error = outcome.failure.retryable ? new Error(reason) : new UnrecoverableError(reason);
      await job.moveToFailed(error, token, false);
      return;
    }
    case 'later':
      await job.moveToDelayed(Date.now() + outcome.delayMs, token);
      return;
    case 'put-back':
      await job.moveToWait(token);
      // On Postgres it went to the end of the queue. Whoever has taken it meanwhile keeps it.
      if (backend === 'postgres') await job.changePriority({ priority: 0, lifo: true });
  }
}
