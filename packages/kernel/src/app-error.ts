import type { ErrorCode, Failure } from '@tarfleet/contracts';

export interface AppErrorOptions {
  /** Worth another try as it stands: a network fault, a full queue. Default false. */
  retryable?: boolean;
  /** Facts for the client; never secrets. */
  details?: unknown;
  cause?: unknown;
}

/**
 * The one error that crosses room borders. Its message is shown to users and stored, so it says what to do
 * and holds no secret. Drivers translate their library's errors into it once, at their edge.
 */
export class AppError extends Error {
  override readonly name = 'AppError';
  readonly code: ErrorCode;
  readonly retryable: boolean;
  readonly details: unknown;

  constructor(code: ErrorCode, message: string, options: AppErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.retryable = options.retryable ?? false;
    this.details = options.details;
  }
}

/** Any thrown value as what may be stored: unknown errors become INTERNAL, without their text. */
export function toFailure(error: unknown): Failure {
  if (error instanceof AppError) {
    return { code: error.code, message: error.message, retryable: error.retryable };
  }
  return {
    code: 'INTERNAL',
    message: 'An unexpected fault stopped the job; the worker log has its details under this job id.',
    retryable: true,
  };
}

/** The system's own code of an error (`ENOENT`, `ECONNRESET`), where there is one. */
export function errnoOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'string' ? code : undefined;
}
