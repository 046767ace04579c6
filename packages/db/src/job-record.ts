import {
  ERROR_CODES,
  type ErrorCode,
  type Failure,
  type JobKind,
  type JobResult,
  type Progress,
} from '@tarfleet/contracts';
import type { Job } from './generated/client.ts';
import type { JobRecord, JobState } from './jobs.ts';

/** A job without what only the reconciler and the progress need. */
export type LockedJob = Omit<Job, 'progressAttempt' | 'progressN' | 'removedFromQueueAt' | 'lastCheckedAt'>;

export function toJobRecord(row: LockedJob): JobRecord {
  return {
    id: row.id,
    kind: row.kind as JobKind,
    pool: row.pool,
    projectId: row.projectId,
    userId: row.userId,
    backupId: row.backupId,
    parentId: row.parentId,
    requestId: row.requestId,
    state: row.state as JobState,
    plan: row.plan,
    generation: row.generation,
    dispatchedAt: row.dispatchedAt,
    attempt: row.attempt,
    token: row.token,
    lastSeq: row.lastSeq,
    progress: row.progress as Progress | null,
    result: row.result as JobResult | null,
    failure: toFailure(row),
    cancelRequestedAt: row.cancelRequestedAt,
    cancelReason: row.cancelReason,
    worker: row.worker,
    createdAt: row.createdAt,
    startedAt: row.startedAt,
    endedAt: row.endedAt,
  };
}

function toFailure(row: Pick<Job, 'errorCode' | 'errorMessage' | 'errorRetryable'>): Failure | null {
  const code = ERROR_CODES.find((known): known is ErrorCode => known === row.errorCode);
  if (!code) return null;
  return { code, message: row.errorMessage ?? '', retryable: row.errorRetryable ?? false };
}
