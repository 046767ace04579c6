import type { Database, JobRecord } from '@tarfleet/db';
import { AppError, timeLimit } from '@tarfleet/kernel';
import { changeSignal } from './change-signal.ts';
import type { LiveHub } from './hub.ts';

/** The job when it has ended, or as it is after `ms` milliseconds, or when the caller or the process goes. */
export async function waitForEnd(
  deps: { db: Pick<Database, 'jobs'>; hub: LiveHub },
  jobId: string,
  ms: number,
  signal: AbortSignal,
): Promise<JobRecord> {
  const until = AbortSignal.any([signal, deps.hub.closing, timeLimit(ms)]);
  const changes = changeSignal(deps.hub, jobId);
  try {
    for (;;) {
      const job = await deps.db.jobs.get(jobId);
      if (!job) throw new AppError('NOT_FOUND', `There is no job ${jobId}.`);
      if (job.endedAt !== null || until.aborted) return job;
      await changes.next(until, 2_000);
    }
  } finally {
    changes.stop();
  }
}
