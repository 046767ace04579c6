import type { FleetMessage } from '@tarfleet/contracts';
import { AppError, type Logger, toFailure } from '@tarfleet/kernel';
import type { Job } from 'bullmq';
import { settledWithin } from './deadline.ts';
import { describeFault } from './fault-log.ts';
import type { Hub } from './hub.ts';
import { readMessage } from './job-data.ts';
import { startJobLoop } from './job-loop.ts';
import { createLockKeeper } from './lock-keeper.ts';
import { MESSAGES_QUEUE } from './names.ts';
import { type Outcome, settle } from './settle.ts';

/** A message is never given up: not when recorders die over it, and not when the database is down for days. */
const MAX_STALLS = 1_000_000;
const FIRST_PAUSE_MS = 500;
const MAX_PAUSE_MS = 15_000;

/** Hands every message to `handler` until the returned function is called, which waits for those in hand. */
export async function startMessages(
  hub: Hub,
  logger: Logger,
  handler: (message: FleetMessage) => Promise<void>,
): Promise<() => Promise<void>> {
  const { settings, backend, onFault } = hub;
  const { lockMs, callMs } = settings;
  const worker = await hub.worker(MESSAGES_QUEUE, MAX_STALLS);
  const locks = createLockKeeper({ lockMs, callMs, logger, onFault });
  const leaving = new AbortController();

  const end = async (
    job: Job,
    token: string,
    find: () => Promise<Outcome>,
    mayFetch: () => boolean,
  ): Promise<Job | undefined> => {
    const hold = locks.hold(job, token, () => {});
    const outcome = await find();
    const signal = leaving.signal;
    const parts = { worker, job, token, hold, callMs, backend, logger, onFault, signal, mayFetch };
    const next = await settle(outcome, parts);
    hold.release();
    return next;
  };
  const handle = async (job: Job): Promise<Outcome> => {
    const message = readMessage(job.data);
    if (!message.ok) {
      logger.error({ messageId: job.id, faults: message.faults }, 'message of an unknown form set aside');
      const text = `The message fits no schema: ${message.faults.join('; ')}.`;
      return { type: 'failed', failure: toFailure(new AppError('PLAN_INVALID', text)) };
    }
    try {
      await handler(message.value);
      return { type: 'done', result: 'null' };
    } catch (error) {
      const delayMs = Math.min(MAX_PAUSE_MS, FIRST_PAUSE_MS * 2 ** Math.min(job.attemptsStarted - 1, 10));
      logger.warn({ messageId: job.id, ...describeFault(error), delayMs }, 'message goes back for later');
      return { type: 'later', delayMs };
    }
  };

  const loop = startJobLoop({
    worker,
    concurrency: settings.messageConcurrency,
    onFault,
    run: (job, token, mayFetch) => end(job, token, () => handle(job), mayFetch),
    async giveBack(job, token) {
      await end(
        job,
        token,
        async () => ({ type: 'put-back' }),
        () => false,
      );
    },
  });
  return async () => {
    await loop.stop();
    if (!(await settledWithin(settings.stopMs, loop.idle()))) {
      logger.error('messages in hand were not recorded in time; they come again');
    }
    leaving.abort();
    await settledWithin(1_000, loop.idle());
    await settledWithin(2_000, worker.close(true));
  };
}
