import { createParser, type Failure, JobResult, readFailure } from '@tarfleet/contracts';
import type { JobRecord } from '@tarfleet/db';
import { NEVER_BEGUN } from '../cancel.ts';
import { endJob } from './end-job.ts';
import { MOST_GENERATIONS, mayHaveChangedServer, pauseAfter, unresolved } from './journalled.ts';
import { BATCH, forEach, type ReconcilerOptions } from './reconciler-options.ts';
import { applyInOrder } from './record.ts';

const parseResult = createParser(JobResult);

/** Asks the queue what became of jobs that nothing was heard of, and ends or sends again those that it does not have. */
export async function checkSilent(options: ReconcilerOptions): Promise<void> {
  const { db, patienceMs } = options;
  const jobs = await db.jobs.unchecked(new Date(Date.now() - patienceMs), BATCH);
  await forEach(options, jobs, (job) => checkOne(options, job));
}

async function checkOne(options: ReconcilerOptions, job: JobRecord): Promise<void> {
  const { db, queue, patienceMs } = options;
  const { id, pool, kind } = job;
  if (await applyStuckEnd(options, job)) return;
  const found = await queue.state({ jobId: id, pool, kind });
  if (found.state === 'missing') {
    await checkMissing(options, job);
    return;
  }
  // The end is in the queue and its event is not here: it may still come, so it gets one more period.
  const waited = job.dispatchedAt && Date.now() - job.dispatchedAt.getTime() > 2 * patienceMs;
  if (found.state === 'completed' && waited) {
    const parsed = parseResult(found.result);
    const failed = parsed.ok && parsed.value.kind === 'backup' && parsed.value.failed.length > 0;
    if (parsed.ok)
      await endJob(options, job, {
        state: failed ? 'partial' : 'completed',
        result: parsed.value,
        failure: null,
      });
    else await endFailed(options, job, lost());
    return;
  }
  if (found.state === 'failed' && waited) {
    await endFailed(options, job, readFailure(found.reason) ?? lost());
    return;
  }
  if (job.cancelRequestedAt !== null) await queue.requestCancel(id, job.cancelReason ?? '');
  await db.jobs.markChecked([id]);
}

async function checkMissing(options: ReconcilerOptions, job: JobRecord): Promise<void> {
  const { db, queue, logger } = options;
  const { id, kind, generation } = job;
  if (job.cancelRequestedAt !== null && !(await mayHaveChangedServer(queue, job, { state: 'missing' }))) {
    await endJob(options, job, { state: 'cancelled', result: null, failure: NEVER_BEGUN });
    return;
  }
  logger.warn({ jobId: id, kind, generation }, 'the queue lost a job, it is sent again');
  await db.jobs.markLost([id, ...(await db.jobs.children(id)).map((child) => child.id)]);
}

/** The queue has it as failed, and no event said so. */
async function endFailed(options: ReconcilerOptions, job: JobRecord, failure: Failure): Promise<void> {
  const { db, queue, logger } = options;
  const { id: jobId, pool, kind, generation } = job;
  if (!(await mayHaveChangedServer(queue, job, { state: 'failed', reason: '' }))) {
    const state = failure.code === 'CANCELLED' ? 'cancelled' : 'failed';
    await endJob(options, job, { state, result: null, failure });
    return;
  }
  if (generation >= MOST_GENERATIONS) {
    const how = unresolved(job, failure);
    logger.error({ jobId, kind, generation, failure: how.message }, 'a restore came to no end');
    await endJob(options, job, { state: 'failed', result: null, failure: how });
    return;
  }
  // The queue keeps what has failed, and takes no second job of the same id.
  if (!(await queue.remove({ jobId, pool, kind }))) {
    await db.jobs.markChecked([jobId]);
    return;
  }
  const pauseMs = pauseAfter(generation);
  logger.warn({ jobId, kind, generation, pauseMs, code: failure.code }, 'taken up again: it came to no end');
  await db.jobs.markLost([jobId], pauseMs);
}

/** An `ended` event is stored, but an earlier one never came: the end counts. */
async function applyStuckEnd(options: ReconcilerOptions, job: JobRecord): Promise<boolean> {
  if (!(await options.db.jobEvents.hasEnded(job.id, job.attempt))) return false;
  const ended = await options.db.transaction(async (tx) => {
    const locked = await tx.jobs.lock(job.id);
    // A later attempt that has begun meanwhile is the one that counts.
    if (!locked || locked.endedAt !== null || locked.attempt !== job.attempt) return null;
    const pending = await tx.jobEvents.ofAttempt(job.id, locked.attempt, locked.lastSeq);
    return applyInOrder(
      tx,
      locked,
      pending.map((stored) => stored.event),
      options,
    );
  });
  if (ended) options.onEnded(ended);
  return ended !== null;
}

function lost(): Failure {
  return {
    code: 'WORKER_LOST',
    message: 'Each worker that took this job died; see the worker logs under its id.',
    retryable: false,
  };
}
