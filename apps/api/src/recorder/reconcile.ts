import { NEVER_BEGUN } from '../cancel.ts';
import { createRetentionRun } from '../retention/run.ts';
import { checkSilent } from './check-silent.ts';
import { startCopies } from './copies.ts';
import { endJob } from './end-job.ts';
import { mayHaveChangedServer } from './journalled.ts';
import { BATCH, forEach, type ReconcilerOptions } from './reconciler-options.ts';
import { createSurveyRun } from './surveys.ts';
import { deleteHidden, forgetDue, resumeDeletions, sweepDue } from './sweeps.ts';
import { endUntaken } from './untaken.ts';

export type { ReconcilerOptions } from './reconciler-options.ts';

export interface Reconciler {
  /** Waits for the round in hand. */
  stop(): Promise<void>;
}

/** How long a worker that is gone is remembered. */
const WORKERS_KEPT_MS = 7 * 24 * 3600 * 1000;
/** How long deliveries that have ended can be looked at and sent again. */
const DELIVERIES_KEPT_MS = 30 * 24 * 3600 * 1000;
/** No answer takes longer, one that waits for a job included: the process that owed it is gone. */
const ANSWER_MS = 10 * 60_000;

/**
 * Brings every accepted job to an end, whatever was lost on the way: sends what the queue never got, sends again
 * what it lost, ends what it finished without the news coming through, clears up behind the ended, sweeps, and lets
 * go what nothing keeps.
 * Every process runs it; each step is right when two do it at once.
 */
export function startReconciler(options: ReconcilerOptions): Reconciler {
  const { logger } = options;
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let round: Promise<void> = Promise.resolve();

  const enforceRetention = createRetentionRun(options.retentionEveryMs);
  const surveyDue = createSurveyRun(options.surveyEveryMs);
  const steps = [
    ...[sendUndispatched, endUntaken, checkSilent, clearEnded, startCopies, sweepDue],
    ...[enforceRetention, deleteHidden, resumeDeletions, forgetDue, surveyDue, tidy],
  ];
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
    if (job.cancelRequestedAt !== null) {
      // The queue may have it although nobody noted that: then it ends as any job in the queue that is cancelled.
      const found = await queue.state({ jobId, pool, kind });
      if (found.state === 'missing' && !(await mayHaveChangedServer(queue, job, found))) {
        await endJob(options, job, { state: 'cancelled', result: null, failure: NEVER_BEGUN });
        return;
      }
      // Whoever takes it up must know, also when the queue has lost the wish with the job.
      await queue.requestCancel(jobId, job.cancelReason ?? '');
    }
    await dispatcher.send(job);
  });
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
    // A restore's own record on the server says to whoever takes it up that it is done; a cancel would undo it.
    if (kind === 'restore' || kind === 'rollback') return;
    // Its worker may have died between the news of the end and the end: no other worker may do it all again.
    await queue.requestCancel(jobId, 'The job has ended already.');
  });
}

async function tidy({ db }: ReconcilerOptions): Promise<void> {
  await db.leases.releaseEnded();
  await db.holds.purge();
  await db.idempotency.purge();
  await db.rateLimits.purge();
  await db.sessions.purge();
  await db.workers.purge(new Date(Date.now() - WORKERS_KEPT_MS));
  await db.auditLog.settle(new Date(Date.now() - ANSWER_MS));
  await db.deliveries.purge(new Date(Date.now() - DELIVERIES_KEPT_MS));
}
