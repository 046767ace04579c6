import type { Database, JobRecord } from '@tarfleet/db';
import { readProgress } from './progress.ts';
import { viewJob } from './view.ts';

const STEPS_SHOWN = 500;

/** A job with how far it is and the last of its steps. */
export async function showJob(db: Database, job: JobRecord) {
  return viewJob(job, await readProgress(db, job), await db.jobEvents.ofTypes(job.id, ['step'], STEPS_SHOWN));
}
