import type { Database, JobRecord } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import type { RunMetrics } from '../run-metrics.ts';

/**
 * What follows the commit of a job's end: a line in the log, a figure, the sending of what waited for it, the start of
 * copies, and the job's removal from the queue. What of it fails is done by the reconciler.
 */
export function createEndedHook(deps: {
  db: Database;
  queue: QueueProducer;
  logger: Logger;
  metrics: RunMetrics;
  /** Hands a job to the queue. */
  send(job: Pick<JobRecord, 'id'>): Promise<void>;
  /** Starts the copies that can be made now. */
  startCopies(): Promise<void>;
}): (job: JobRecord) => void {
  const { db, queue, logger, metrics, send, startCopies } = deps;
  /** What waited for its end and has not ended with it. */
  const sendFollowers = async (jobId: string): Promise<void> => {
    for (const follower of await db.jobs.followers(jobId)) {
      // One that is to be cancelled is the reconciler's.
      if (follower.cancelRequestedAt === null) await send(follower);
    }
  };
  return (job) => {
    const { id: jobId, kind, pool, state, requestId, backupId } = job;
    logger.info(
      { jobId, kind, state, requestId, backupId, code: job.failure?.code },
      'job recorded as ended',
    );
    metrics.ended(job);
    // A flow leaves the queue as a whole: its parent needs what the children gave back.
    if (job.parentId !== null) return;
    sendFollowers(jobId).catch((error: unknown) =>
      logger.debug({ err: error, jobId }, 'what waited for the job is sent later'),
    );
    // The end of one copy lets those begin that build on it.
    if (kind === 'backup' || kind === 'copy') {
      startCopies().catch((error: unknown) =>
        logger.debug({ err: error, jobId }, 'copies are started later'),
      );
    }
    const remove = async (): Promise<void> => {
      // The worker tells of the end right before it gives the job back: too early a look would find it active.
      if (!(await queue.remove({ jobId, pool, kind }))) return;
      if (job.cancelRequestedAt !== null) await queue.clearCancel(jobId);
      await db.jobs.markRemovedFromQueue([jobId]);
    };
    setTimeout(() => {
      remove().catch((error: unknown) =>
        logger.debug({ err: error, jobId }, 'job is removed from the queue later'),
      );
    }, 250).unref();
  };
}
