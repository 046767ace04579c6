import type { Database, JobRecord } from '@tarfleet/db';
import { progressOf } from './progress.ts';
import { collectSteps } from './steps.ts';
import { attemptsIn, readTries } from './tries.ts';
import { viewJob } from './view.ts';

/** Of steps, their beginnings and ends; and of attempts. */
const EVENTS_READ = 500;

/** A job with how far it is and the last of its steps. */
export async function showJob(db: Database, job: JobRecord) {
  const events = await db.jobEvents.ofTypes(job.id, ['started', 'step'], EVENTS_READ);
  const children = job.kind === 'backup' ? await db.jobs.children(job.id) : [];
  const tryOf = await readTries(db, job.id, attemptsIn(job, events));
  const steps = collectSteps([job, ...children], events, tryOf);
  return viewJob(job, progressOf(job, children), steps, tryOf);
}
