import { randomBytes } from 'node:crypto';
import { AppError, type Logger, toFailure } from '@tarfleet/kernel';
import type { Job } from 'bullmq';
import type { CancelWatch } from './cancels.ts';
import { childOutcomes } from './child-outcomes.ts';
import type { Hub, JobWorker } from './hub.ts';
import { encodeValue, parseJobData } from './job-data.ts';
import type { LockKeeper } from './lock-keeper.ts';
import { createProgressSender } from './progress.ts';
import { type Outcome, settle } from './settle.ts';
import type { Delivery, DeliveryHandler, JobRef } from './types.ts';

/** Starts of one dispatch that have numbers of their own. */
const MAX_STARTS = 999;

export interface DeliverOptions {
  hub: Hub;
  worker: JobWorker;
  pool: string;
  kind: JobRef['kind'];
  handler: DeliveryHandler;
  locks: LockKeeper;
  cancels: CancelWatch;
  logger: Logger;
  /** Aborted with WORKER_STOPPING when the grace is over. */
  stopping: AbortSignal;
  /** Aborted when the process waits no longer for the queue. */
  leaving: AbortSignal;
  mayFetch: () => boolean;
}

/** Runs one try at one job, from its first check to its end in the queue. May give the next job, as `settle`. Never rejects. */
export async function deliver(job: Job, token: string, options: DeliverOptions): Promise<Job | undefined> {
  const { hub, pool, kind, locks, cancels } = options;
  const jobId = job.id ?? '';
  const attemptToken = randomBytes(6).toString('hex');
  const controller = new AbortController();
  const abort = (reason: unknown): void => controller.abort(reason);
  const hold = locks.hold(job, token, abort);
  const data = parseJobData(job.data);
  const attempt = data.ok ? data.value.generation * 1_000 + job.attemptsStarted : 0;
  const logger = options.logger.child({ jobId, kind, ...(attempt ? { attempt } : {}) });
  const finish = async (outcome: Outcome): Promise<Job | undefined> => {
    const { worker, mayFetch, leaving: signal } = options;
    const { callMs } = hub.settings;
    const { backend, onFault } = hub;
    const parts = { worker, job, token, hold, callMs, backend, logger, onFault, signal, mayFetch };
    const next = await settle(outcome, parts);
    hold.release();
    return next;
  };

  const refusal = data.ok ? refuse(job) : invalid(data.faults);
  if (refusal || !data.ok) {
    logger.error({ code: refusal?.code }, 'job refused');
    return finish({ type: 'failed', failure: toFailure(refusal) });
  }

  const stop = (): void => abort(options.stopping.reason);
  options.stopping.addEventListener('abort', stop, { once: true });
  if (options.stopping.aborted) stop();
  const ids = [jobId, ...(data.value.parentJobId ? [data.value.parentJobId] : [])];
  const cancel = (reason: string): void => abort(new AppError('CANCELLED', reason));
  const recorded = await cancels.find(ids).catch((error: unknown) => {
    // The watch below asks again as soon as the queue answers.
    hub.onFault(error);
    return null;
  });
  if (recorded !== null) cancel(recorded);
  const unwatch = cancels.watch(ids, cancel);
  const progress = createProgressSender({
    attempt,
    callMs: hub.settings.callMs,
    onFault: hub.onFault,
    send: async (report) => {
      if (!hold.lost) await job.updateProgress(encodeValue(report));
    },
  });
  const delivery: Delivery = {
    jobId,
    pool,
    kind,
    plan: data.value.plan,
    attempt,
    token: attemptToken,
    isLastTry: job.attemptsMade + 1 >= (job.opts.attempts ?? 1),
    signal: controller.signal,
    assertOwned: () => hold.assertHeld(),
    progress: (report) => progress.report(report),
    childOutcomes: () => childOutcomes(hub, job),
  };
  const outcome = await runHandler(options.handler, delivery, logger);
  options.stopping.removeEventListener('abort', stop);
  unwatch();
  await progress.flush();
  return finish(outcome);
}

async function runHandler(handler: DeliveryHandler, delivery: Delivery, logger: Logger): Promise<Outcome> {
  try {
    return { type: 'done', result: encodeValue(await handler(delivery)) };
  } catch (error) {
    const failure = toFailure(error);
    if (failure.code === 'WORKER_STOPPING' || reasonCode(delivery.signal) === 'WORKER_STOPPING') {
      return { type: 'put-back' };
    }
    if (!(error instanceof AppError)) logger.error({ err: error }, 'handler failed unexpectedly');
    // Whatever a cancelled job stumbles over on its way out, it is not tried again.
    if (failure.retryable && reasonCode(delivery.signal) === 'CANCELLED') {
      return { type: 'failed', failure: toFailure(delivery.signal.reason) };
    }
    // Of a lock that is lost nothing is recorded; where it is ours after all, the job must not end by this.
    if (failure.code === 'ATTEMPT_SUPERSEDED') failure.retryable = true;
    return { type: 'failed', failure };
  }
}

function reasonCode(signal: AbortSignal): string | undefined {
  return signal.aborted && signal.reason instanceof AppError ? signal.reason.code : undefined;
}

function invalid(faults: string[]): AppError {
  return new AppError('PLAN_INVALID', `The job's data in the queue is not readable: ${faults.join('; ')}.`);
}

/** Why a job is not even started. */
function refuse(job: Job): AppError | undefined {
  if (job.deferredFailure) {
    return new AppError(
      'WORKER_LOST',
      'Too many workers died while they ran this job; it is not tried again.',
    );
  }
  if (job.attemptsStarted > MAX_STARTS) {
    return new AppError('WORKER_LOST', `This job was started ${MAX_STARTS} times without an end.`);
  }
  return undefined;
}
