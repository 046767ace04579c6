import type { ArtifactResult, JobEvent } from '@tarfleet/contracts';
import type { JobRecord, StoredEvent } from '@tarfleet/db';
import type { ProgressView } from './progress.ts';
import type { StepView } from './steps.ts';
import type { TryOf } from './tries.ts';

/** A job as `GET /api/jobs/:id` shows it. */
export function viewJob(job: JobRecord, progress: ProgressView, steps: StepView[], tryOf: TryOf) {
  return {
    id: job.id,
    kind: job.kind,
    state: job.state,
    pool: job.pool,
    project_id: job.projectId,
    backup_id: job.backupId,
    parent_id: job.parentId,
    request_id: job.requestId,
    attempt: tryOf(job.id, job.attempt),
    worker: job.worker,
    progress,
    steps,
    result: viewResult(job, tryOf),
    failure: job.failure ? { code: job.failure.code, message: job.failure.message } : null,
    cancel_requested_at: iso(job.cancelRequestedAt),
    created_at: job.createdAt.toISOString(),
    started_at: iso(job.startedAt),
    ended_at: iso(job.endedAt),
  };
}

/** Results hold nothing secret but sealed credentials, which nobody needs to see. */
function viewResult({ result }: JobRecord, tryOf: TryOf): Record<string, unknown> | null {
  if (result === null) return null;
  const archive = ({ kind: _kind, ...rest }: ArtifactResult) => ({
    ...rest,
    attempt: tryOf(rest.artifactId, rest.attempt),
  });
  const { kind: _kind, ...rest } = result;
  switch (result.kind) {
    case 'reseal':
      return { server_id: result.serverId };
    case 'artifact':
      return snake(archive(result)) as Record<string, unknown>;
    case 'backup':
      return snake({ ...rest, artifacts: result.artifacts.map(archive) }) as Record<string, unknown>;
    default:
      return snake(rest) as Record<string, unknown>;
  }
}

/** An event as the stream sends it. */
export function viewEvent(
  { jobId, attempt, event }: StoredEvent,
  tryOf: TryOf,
): { type: string; data: object } {
  const { type, ...rest } = withoutResult(event);
  return { type, data: { job_id: jobId, ...(snake(rest) as object), attempt: tryOf(jobId, attempt) } };
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
