import type { Database, JobRecord } from '@tarfleet/db';
import { readProgress } from './progress.ts';
import { attemptsIn, readTries } from './tries.ts';
import { viewJob } from './view.ts';

const STEPS_SHOWN = 500;

/** A job with how far it is and the last of its steps. */
export async function showJob(db: Database, job: JobRecord) {
  const steps = await db.jobEvents.ofTypes(job.id, ['step'], STEPS_SHOWN);
  const tryOf = await readTries(db, job.id, attemptsIn(job, steps));
  return viewJob(job, await readProgress(db, job), steps, tryOf);
}
