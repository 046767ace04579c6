import type { ApiErrorCode } from './types.ts';

/** What the API says, and what happens on the way to it. */
export type ErrorCode =
  | ApiErrorCode
  /** No answer: not reached, or cut off. */
  | 'CONNECTION_FAILED'
  /** Not within the time that was given. */
  | 'TIMED_OUT'
  /** An answer that is not the API's: a proxy's page, a redirect, half of a body. */
  | 'BAD_ANSWER';

interface Facts {
  code: ErrorCode;
  message: string;
  /** HTTP status; null without an answer, and for a job that failed. */
  status?: number | null;
  /** As the API gave them. */
  details?: unknown;
  /** By which the logs of the API know the request. */
  requestId?: string | null;
  /** How long the API asks to be left alone, in milliseconds. */
  retryAfterMs?: number | null;
  cause?: unknown;
}

/** Everything that a call may fail with, except its own signal's reason when that is aborted. */
export class TarfleetError extends Error {
  override readonly name = 'TarfleetError';
  readonly code: ErrorCode;
  readonly status: number | null;
  readonly details: unknown;
  readonly requestId: string | null;
  readonly retryAfterMs: number | null;

  constructor({ code, message, status, details, requestId, retryAfterMs, cause }: Facts) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
    this.status = status ?? null;
    this.details = details;
    this.requestId = requestId ?? null;
    this.retryAfterMs = retryAfterMs ?? null;
  }

  /** The job that the request had started before it failed, where it had; or the job that failed. */
  get jobId(): string | null {
    return this.isRefused ? null : this.namedJob;
  }

  /** The job that was in the way of the request, where that was refused for one: somebody else's, as a rule. */
  get blockingJobId(): string | null {
    return this.isRefused ? this.namedJob : null;
  }

  private get isRefused(): boolean {
    return this.code === 'BACKUP_IN_PROGRESS' || this.code === 'RESTORE_IN_PROGRESS';
  }

  private get namedJob(): string | null {
    const { details } = this;
    if (typeof details !== 'object' || details === null || !('job_id' in details)) return null;
    return typeof details.job_id === 'string' ? details.job_id : null;
  }

  /** Whether the same may succeed a little later: nothing is wrong with the request. */
  get transient(): boolean {
    if (this.code === 'CONNECTION_FAILED' || this.code === 'TIMED_OUT') return true;
    return this.status === 429 || this.status === 503 || this.fromGateway;
  }

  /** Whether something in front of the API answered in its place. */
  get fromGateway(): boolean {
    return this.code === 'BAD_ANSWER' && (this.status === 502 || this.status === 503 || this.status === 504);
  }
}
