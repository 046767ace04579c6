import type { JobRecord, StoredEvent } from '@tarfleet/db';
import type { TryOf } from './tries.ts';

export interface StepView {
  job_id: string;
  attempt: number;
  number: number;
  name: string;
  status: 'running' | 'completed' | 'failed' | 'skipped' | 'interrupted';
  message: string;
  started_at: string;
  ended_at: string | null;
  duration_ms: number | null;
}

/**
 * The steps that a job and its children tell of. One that was begun and not ended is `interrupted`, as in a restore's
 * own log, once nobody can end it any more: a later attempt has begun, or the job has ended.
 */
export function collectSteps(jobs: readonly JobRecord[], stored: StoredEvent[], tryOf: TryOf): StepView[] {
  const steps = new Map<string, StepView>();
  for (const { jobId, attempt, event } of stored) {
    if (event.type !== 'step') continue;
    const id = `${jobId} ${attempt} ${event.number}`;
    const startedAt = steps.get(id)?.started_at ?? event.at;
    const given = { startedAt, status: event.status === 'started' ? ('running' as const) : event.status };
    const overAt = given.status === 'running' ? overSince(jobs, stored, { jobId, attempt }) : null;
    const status = overAt === null ? given.status : 'interrupted';
    const endedAt = overAt ?? (status === 'running' ? null : event.at);
    steps.set(id, {
      ...{ job_id: jobId, attempt: tryOf(jobId, attempt), number: event.number, name: event.name, status },
      ...{ message: event.message, started_at: startedAt, ended_at: endedAt },
      duration_ms: endedAt === null ? null : Math.max(0, Date.parse(endedAt) - Date.parse(startedAt)),
    });
  }
  return [...steps.values()];
}

/** Since when an attempt can end nothing any more; null while it still can. */
function overSince(
  jobs: readonly JobRecord[],
  stored: readonly StoredEvent[],
  of: Pick<StoredEvent, 'jobId' | 'attempt'>,
): string | null {
  const job = jobs.find(({ id }) => id === of.jobId);
  const later = stored.find(
    ({ jobId, attempt, event }) => jobId === of.jobId && attempt > of.attempt && event.type === 'started',
  );
  return later?.event.at ?? job?.endedAt?.toISOString() ?? null;
}
