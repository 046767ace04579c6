import type { Database, JobRecord } from '@tarfleet/db';
import type { End, SettleOptions } from './end.ts';
import { settle } from './settle.ts';

interface EndOptions extends SettleOptions {
  db: Database;
  onEnded(job: JobRecord): void;
}

/** Ends a job that cannot end by its own events. */
export async function endJob(options: EndOptions, job: JobRecord, how: Omit<End, 'at'>): Promise<boolean> {
  const told: End = { ...how, at: new Date() };
  const ended = await options.db.transaction(async (tx) => {
    const locked = await tx.jobs.lock(job.id);
    if (!locked || locked.endedAt !== null) return null;
    const end = await settle(tx, locked, told, options);
    await tx.jobs.change(job.id, {
      state: end.state,
      endedAt: end.at,
      result: end.result,
      failure: end.failure,
    });
    await tx.notifier.jobsChanged([job.id]);
    return { ...locked, state: end.state, endedAt: end.at };
  });
  if (ended) options.onEnded(ended);
  return ended !== null;
}
