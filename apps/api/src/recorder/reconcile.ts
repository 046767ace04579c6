import { createParser, Failure, JobResult } from '@tarfleet/contracts';
import type { Database, FullBackup, JobRecord } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import { NEVER_BEGUN } from '../cancel.ts';
import type { Dispatcher } from '../dispatcher.ts';
import { planDelete, planSweep } from '../planner/on-backup.ts';
import type { PlanKeys } from '../planner/targets.ts';
import type { SettleOptions } from './end.ts';
import { endJob } from './end-job.ts';
import { applyInOrder } from './record.ts';

export interface ReconcilerOptions extends SettleOptions {
  db: Database;
  queue: QueueProducer;
  dispatcher: Dispatcher;
  keys: PlanKeys;
  logger: Logger;
  /** Between two rounds, in milliseconds. */
  everyMs: number;
  /** How long a job may go unchecked, and an end unrecorded, before the queue is asked, in milliseconds. */
  patienceMs: number;
  onEnded(job: JobRecord): void;
}

export interface Reconciler {
  /** Waits for the round in hand. */
  stop(): Promise<void>;
}

const BATCH = 200;
/** How long a worker that is gone is remembered. */
const WORKERS_KEPT_MS = 7 * 24 * 3600 * 1000;
const parseResult = createParser(JobResult);
const parseFailure = createParser(Failure);

/**
 * Brings every accepted job to an end, whatever was lost on the way: sends what the queue never got, sends again
 * what it lost, ends what it finished without the news coming through, clears up behind the ended, and sweeps.
 * Every process runs it; each step is right when two do it at once.
 */
export function startReconciler(options: ReconcilerOptions): Reconciler {
  const { logger } = options;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round: Promise<void> = Promise.resolve();

  const steps = [sendUndispatched, checkSilent, clearEnded, sweepDue, deleteHidden, tidy];
  const run = async (): Promise<void> => {
    for (const step of steps) {
      if (stopped) return;
      try {
        await step(options);
      } catch (error) {
        logger.warn({ err: error, step: step.name }, 'reconciler step failed, it runs again');
      }
    }
  };
  const next = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      round = run().then(next);
    }, options.everyMs);
  };
  next();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await round;
    },
  };
}

async function sendUndispatched(options: ReconcilerOptions): Promise<void> {
  const { db, queue, dispatcher } = options;
  // A request that was stored just now is being sent by whoever stored it.
  const jobs = await db.jobs.undispatched(new Date(Date.now() - 3_000), BATCH);
  await forEach(options, jobs, async (job) => {
    const { id: jobId, pool, kind } = job;
    // The queue may have it although nobody noted that: then it ends as any job in the queue that is cancelled.
    const unknown =
      job.cancelRequestedAt !== null && (await queue.state({ jobId, pool, kind })).state === 'missing';
    if (unknown) await endJob(options, job, { state: 'cancelled', result: null, failure: NEVER_BEGUN });
    else await dispatcher.send(job);
  });
}

/** One job that cannot be dealt with must not stand in the way of the rest; a queue or database that is down does. */
async function forEach<T extends { id: string }>(
  { logger }: ReconcilerOptions,
  items: T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  for (const item of items) {
    try {
      await action(item);
    } catch (error) {
      if (error instanceof AppError && error.code === 'UNAVAILABLE') throw error;
      logger.warn({ err: error, id: item.id }, 'reconciler leaves one out, it tries again');
    }
  }
}

async function checkSilent(options: ReconcilerOptions): Promise<void> {
  const { db, patienceMs } = options;
  const jobs = await db.jobs.unchecked(new Date(Date.now() - patienceMs), BATCH);
  await forEach(options, jobs, (job) => checkOne(options, job));
}

async function checkOne(options: ReconcilerOptions, job: JobRecord): Promise<void> {
  const { db, queue, logger, patienceMs } = options;
  const { id, pool, kind } = job;
  if (await applyStuckEnd(options, job)) return;
  const found = await queue.state({ jobId: id, pool, kind });
  if (found.state === 'missing') {
    const ids = [id, ...(await db.jobs.children(id)).map((child) => child.id)];
    if (job.cancelRequestedAt !== null) {
      await endJob(options, job, { state: 'cancelled', result: null, failure: NEVER_BEGUN });
      return;
    }
    logger.warn({ jobId: id, kind, generation: job.generation }, 'the queue lost a job, it is sent again');
    await db.jobs.markLost(ids);
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
    else await endJob(options, job, { state: 'failed', result: null, failure: lost() });
    return;
  }
  if (found.state === 'failed' && waited) {
    const failure = readFailure(found.reason);
    const state = failure.code === 'CANCELLED' ? 'cancelled' : 'failed';
    await endJob(options, job, { state, result: null, failure });
    return;
  }
  if (job.cancelRequestedAt !== null) await queue.requestCancel(id, job.cancelReason ?? '');
  await db.jobs.markChecked([id]);
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

async function clearEnded(options: ReconcilerOptions): Promise<void> {
  const { db, queue } = options;
  const jobs = await db.jobs.toRemoveFromQueue(new Date(Date.now() - 2_000), BATCH);
  await forEach(options, jobs, async ({ id: jobId, pool, kind }) => {
    if (await queue.remove({ jobId, pool, kind })) {
      await queue.clearCancel(jobId);
      await db.jobs.markRemovedFromQueue([jobId]);
      return;
    }
    // Its worker may have died between the news of the end and the end: no other worker may do it all again.
    await queue.requestCancel(jobId, 'The job has ended already.');
  });
}

async function sweepDue(options: ReconcilerOptions): Promise<void> {
  const due = await options.db.backups.dueForSweep(new Date(), BATCH);
  await forEach(options, due, (backup) => submitUnused(options, backup, planSweep, 'sweep'));
}

/** What somebody deleted while other backups needed it goes when the last of them has gone. */
async function deleteHidden(options: ReconcilerOptions): Promise<void> {
  const free = await options.db.backups.hiddenAndFree(BATCH);
  await forEach(options, free, (backup) => submitUnused(options, backup, planDelete, 'delete'));
}

async function submitUnused(
  { db, dispatcher, keys }: ReconcilerOptions,
  backup: FullBackup,
  plan: typeof planSweep,
  what: string,
): Promise<void> {
  const jobs = await db.jobs.unfinishedOf(backup.id);
  if (jobs.length > 0) return;
  const draft = await plan({ db, keys }, { backup, userId: null, requestId: `${what}-${backup.id}` });
  try {
    await dispatcher.submit(draft);
  } catch (error) {
    // Another process was quicker, or somebody began to use the backup: the next round looks again.
    if (!(error instanceof AppError) || !QUICKER.has(error.code)) throw error;
  }
}

const QUICKER = new Set(['CONFLICT', 'BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS', 'BACKUP_NOT_FOUND']);

async function tidy({ db }: ReconcilerOptions): Promise<void> {
  await db.leases.releaseEnded();
  await db.idempotency.purge();
  await db.rateLimits.purge();
  await db.sessions.purge();
  await db.workers.purge(new Date(Date.now() - WORKERS_KEPT_MS));
}

function readFailure(reason: string): Failure {
  try {
    const parsed = parseFailure(JSON.parse(reason));
    if (parsed.ok) return { ...parsed.value, retryable: false };
  } catch {
    // The queue's own words, such as those for a job that stalled too often.
  }
  return lost();
}

function lost(): Failure {
  return {
    code: 'WORKER_LOST',
    message: 'Each worker that took this job died; see the worker logs under its id.',
    retryable: false,
  };
}
