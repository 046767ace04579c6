import type { JobEvent, ResultOf, SurveyPlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories, SurveyAttempt } from '@tarfleet/db';
import type { SettleOptions } from './end.ts';

/** Stores what is unknown of a part that a survey found. */
export async function recordFound(
  tx: Repositories,
  job: JobRecord,
  event: Extract<JobEvent, { type: 'found' }>,
  { sweepGraceMs }: SettleOptions,
): Promise<void> {
  if (job.kind === 'survey') await tx.surveys.found(attemptOf(job), event.groups, sweepGraceMs);
  // A destination may hold a million groups, each time: the events would outgrow all other records.
  await tx.jobEvents.forget(job.id, job.attempt, event.seq);
}

/** Only a survey that saw everything can tell what is there no more. */
export async function settleSurvey(
  tx: Repositories,
  job: JobRecord,
  { objects, bytes, uploads }: ResultOf<'survey'>,
  at: Date,
): Promise<void> {
  await tx.surveys.complete(attemptOf(job), { objects, bytes, uploads, at });
}

function attemptOf({ id, plan, attempt }: JobRecord): SurveyAttempt {
  const { destination } = JSON.parse(plan) as SurveyPlan;
  return { destinationId: destination.id, jobId: id, attempt };
}
