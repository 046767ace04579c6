import type { JobEvent } from '@tarfleet/contracts';
import type { JobRecord, StoredEvent } from '@tarfleet/db';
import type { ProgressView } from './progress.ts';

/** A job as `GET /api/jobs/:id` shows it. */
export function viewJob(job: JobRecord, progress: ProgressView, steps: StoredEvent[]) {
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    pool: job.pool,
    project_id: job.projectId,
    backup_id: job.backupId,
    parent_id: job.parentId,
    request_id: job.requestId,
    attempt: attemptsOf(job.attempt),
    worker: job.worker,
    progress,
    steps: collectSteps(steps),
    result: viewResult(job),
    failure: job.failure ? { code: job.failure.code, message: job.failure.message } : null,
    cancel_requested_at: iso(job.cancelRequestedAt),
    created_at: job.createdAt.toISOString(),
    started_at: iso(job.startedAt),
    ended_at: iso(job.endedAt),
  };
}

/** How many times workers have begun the job: the number behind the queue's generation. */
export function attemptsOf(attempt: number): number {
  return attempt === 0 ? 0 : (Math.floor(attempt / 1000) - 1) * 1000 + (attempt % 1000);
}

/** Results hold nothing secret but sealed credentials, which nobody needs to see. */
function viewResult(job: JobRecord): Record<string, unknown> | null {
  if (job.result === null) return null;
  if (job.result.kind === 'reseal') return { server_id: job.result.serverId };
  const { kind: _kind, ...rest } = job.result;
  return snake(rest) as Record<string, unknown>;
}

function collectSteps(stored: StoredEvent[]) {
  const steps = new Map<string, StepView>();
  for (const { jobId, attempt, event } of stored) {
    if (event.type !== 'step') continue;
    const id = `${jobId} ${attempt} ${event.number}`;
    const before = steps.get(id);
    const ended = event.status !== 'started';
    const startedAt = before?.started_at ?? event.at;
    steps.set(id, {
      job_id: jobId,
      attempt: attemptsOf(attempt),
      number: event.number,
      name: event.name,
      status: event.status === 'started' ? 'running' : event.status,
      message: event.message,
      started_at: startedAt,
      ended_at: ended ? event.at : null,
      duration_ms: ended ? Date.parse(event.at) - Date.parse(startedAt) : null,
    });
  }
  return [...steps.values()];
}

interface StepView {
  job_id: string;
  attempt: number;
  number: number;
  name: string;
  status: 'running' | 'completed' | 'failed' | 'skipped';
  message: string;
  started_at: string;
  ended_at: string | null;
  duration_ms: number | null;
}

/** An event as the stream sends it. */
export function viewEvent({ jobId, attempt, event }: StoredEvent): { type: string; data: object } {
  const { type, ...rest } = withoutResult(event);
  return { type, data: { job_id: jobId, ...(snake(rest) as object), attempt: attemptsOf(attempt) } };
}

function withoutResult(event: JobEvent): JobEvent {
  if (event.type !== 'ended') return event;
  const { result: _result, ...rest } = event;
  return rest;
}

function snake(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(snake);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, inner]) => [
      key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`),
      snake(inner),
    ]),
  );
}

function iso(date: Date | null): string | null {
  return date ? date.toISOString() : null;
}
