import type { Failure } from '@tarfleet/contracts';
import type { Database, JobRecord } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import type { SettleOptions } from './recorder/end.ts';
import { endJob } from './recorder/end-job.ts';
import { mayHaveChangedServer } from './recorder/journalled.ts';

/** How a job ends that was cancelled before its turn came. */
export const NEVER_BEGUN: Failure = {
  code: 'CANCELLED',
  message: 'The job was cancelled before a worker began it.',
  retryable: false,
};

export interface CancelOptions extends SettleOptions {
  db: Database;
  queue: QueueProducer;
  logger: Logger;
  onEnded(job: JobRecord): void;
}

/**
 * Asks a job to end. What a worker has begun is told by a record in the queue, which its owner sees within 2 s,
 * whichever process that is; what no worker has begun ends here and now. A restore or rollback that a worker may have
 * begun never does: it is delivered once more, for a worker to undo it. JOB_FINISHED when it has ended already.
 */
export async function cancelJob(
  options: CancelOptions,
  asked: JobRecord,
  reason: string,
): Promise<JobRecord> {
  const { db } = options;
  // An artifact is part of its backup: one does not end without the other knowing.
  const id = asked.parentId ?? asked.id;
  const job = await db.jobs.requestCancel(id, reason);
  if (!job) throw new AppError('JOB_FINISHED', `The job ${id} has ended already.`);
  try {
    await stopInQueue(options, job, reason);
  } catch (error) {
    // The wish is stored: the reconciler passes it on as soon as the queue is back.
    options.logger.warn({ err: error, jobId: job.id }, 'queue is down, the job is cancelled later');
  }
  return (await db.jobs.get(job.id)) ?? job;
}

async function stopInQueue(options: CancelOptions, job: JobRecord, reason: string): Promise<void> {
  const { queue } = options;
  const ref = { jobId: job.id, pool: job.pool, kind: job.kind };
  // First the record, so that whoever picks the job up from now on sees it; then the look at who has it.
  await queue.requestCancel(job.id, reason);
  const found = await queue.state(ref);
  if (await mayHaveChangedServer(queue, job, found)) return;
  const idle = found.state === 'missing' || found.state === 'waiting' || found.state === 'delayed';
  const flow = found.state === 'waiting-children';
  if ((idle || flow) && (await queue.remove(ref))) {
    await endJob(options, job, { state: 'cancelled', result: null, failure: NEVER_BEGUN });
  } else if (flow) {
    await queue.removeWaitingChildren(ref);
  }
}
