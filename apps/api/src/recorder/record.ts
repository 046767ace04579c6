import type { EventBatch, JobEvent, Progress } from '@tarfleet/contracts';
import type { Database, JobRecord, Repositories } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { applyEvent } from './apply-event.ts';
import type { SettleOptions } from './end.ts';

export interface Recorder {
  /** Stores a batch and lets its events have their effect. Rejects when the database is down: the batch then comes again. */
  record(batch: EventBatch): Promise<void>;
  /** Stores progress that is newer than what is there. What fails is only logged: progress may be lost. */
  progress(jobId: string, progress: Progress): Promise<void>;
}

export interface RecorderOptions extends SettleOptions {
  db: Database;
  logger: Logger;
  /** After the commit of a job's end. */
  onEnded(job: JobRecord): void;
}

/**
 * Events become rows. Within an attempt they have their effect in the order of their numbers, whatever order
 * they arrive in and however often; what an attempt says after a later one has begun, or after the job has
 * ended, is dropped.
 */
export function createRecorder(options: RecorderOptions): Recorder {
  const { db, logger } = options;
  return {
    async record(batch) {
      const ended = await db.transaction((tx) => recordIn(tx, batch, options));
      if (ended) options.onEnded(ended);
    },
    async progress(jobId, progress) {
      try {
        if (await db.jobs.saveProgress(jobId, progress)) await db.notifier.jobsChanged([jobId]);
      } catch (error) {
        logger.debug({ err: error, jobId }, 'progress not stored');
      }
    },
  };
}

async function recordIn(
  tx: Repositories,
  batch: EventBatch,
  options: RecorderOptions,
): Promise<JobRecord | null> {
  const { jobId, attempt, token } = batch;
  const log = options.logger.child({ jobId, attempt });
  const stored = await tx.jobs.lock(jobId);
  if (!stored) {
    log.warn('events of an unknown job dropped');
    return null;
  }
  const superseded = attempt < stored.attempt || (attempt === stored.attempt && token !== stored.token);
  if (stored.endedAt !== null || superseded) {
    log.info({ events: batch.events.length }, 'events of a superseded attempt dropped');
    return null;
  }
  const job = attempt > stored.attempt ? { ...stored, attempt, token, lastSeq: 0 } : stored;
  const inOrder = await nextInOrder(tx, job, batch.events);
  if (inOrder.length === 0) {
    await tx.jobs.change(jobId, { attempt, token, lastSeq: job.lastSeq });
    return null;
  }
  return applyInOrder(tx, job, inOrder, options);
}

/** Stores the batch's events and gives those whose turn has come: the usual batch needs no second look at the table. */
async function nextInOrder(tx: Repositories, job: JobRecord, events: JobEvent[]): Promise<JobEvent[]> {
  const sorted = events.filter((event) => event.seq > job.lastSeq).sort((a, b) => a.seq - b.seq);
  if (sorted.length === 0) return [];
  const before = await tx.jobEvents.add(job.id, job.attempt, sorted, job.lastSeq);
  const known = new Map(sorted.map((event) => [event.seq, event]));
  for (const { event } of before) known.set(event.seq, event);
  const inOrder: JobEvent[] = [];
  for (let next = known.get(job.lastSeq + 1); next; next = known.get(next.seq + 1)) inOrder.push(next);
  return inOrder;
}

/** Lets events have their effect and stores the job as it is then. Gives the job when it has ended by them. */
export async function applyInOrder(
  tx: Repositories,
  before: JobRecord,
  events: JobEvent[],
  options: SettleOptions,
): Promise<JobRecord | null> {
  let job = before;
  for (const event of events) {
    job = { ...(await applyEvent(tx, job, event, options)), lastSeq: event.seq };
    if (job.endedAt !== null) break;
  }
  const { state, attempt, token, lastSeq, worker, startedAt, endedAt, result, failure } = job;
  await tx.jobs.change(job.id, {
    state,
    attempt,
    token,
    lastSeq,
    worker,
    startedAt,
    endedAt,
    result,
    failure,
  });
  await tx.notifier.jobsChanged(job.parentId === null ? [job.id] : [job.id, job.parentId]);
  return job.endedAt === null ? null : job;
}
