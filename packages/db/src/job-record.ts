import {
  type EndState,
  ERROR_CODES,
  type ErrorCode,
  type Failure,
  type JobKind,
  type JobResult,
  type Progress,
} from '@tarfleet/contracts';
import type { Job } from './generated/client.ts';

export type JobState = 'queued' | 'running' | EndState;

export interface JobRecord {
  id: string;
  kind: JobKind;
  pool: string;
  projectId: number;
  userId: string | null;
  backupId: string | null;
  /** Of an artifact: its backup's job. */
  parentId: string | null;
  requestId: string;
  /** Not sent before that job has completed; when it ends otherwise, this one fails. */
  afterId: string | null;
  /** Sent too when that job has failed, unless it was cancelled. */
  afterAnyEnd: boolean;
  state: JobState;
  /** The plan as JSON text; it is signed when it is sent. */
  plan: string;
  /** How often the job was handed to the queue, from 1. */
  generation: number;
  dispatchedAt: Date | null;
  attempt: number;
  token: string | null;
  /** The last event of this attempt that has had its effect. */
  lastSeq: number;
  progress: Progress | null;
  result: JobResult | null;
  failure: Failure | null;
  cancelRequestedAt: Date | null;
  cancelReason: string | null;
  worker: string | null;
  createdAt: Date;
  startedAt: Date | null;
  endedAt: Date | null;
}

/** A job without what only the reconciler and the progress need. */
export type LockedJob = Omit<
  Job,
  'progressAttempt' | 'progressN' | 'removedFromQueueAt' | 'lastCheckedAt' | 'sendAfter'
>;

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
    afterId: row.afterId,
    afterAnyEnd: row.afterAnyEnd,
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
