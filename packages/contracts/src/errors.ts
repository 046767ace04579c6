import { type Static, Type } from 'typebox';
import { createParser } from './parse.ts';

/**
 * Every code that a response or a failed job may carry. The API has one table that maps them to statuses
 * (`apps/api/src/plugins/statuses.ts`); a test fails when a code is missing there.
 */
export const ERROR_CODES = [
  // The documents' own codes.
  'BACKUP_NOT_FOUND',
  'BACKUP_IN_PROGRESS',
  'BACKUP_INCOMPLETE',
  'BACKUP_CORRUPTED',
  'BACKUP_VERIFICATION_FAILED',
  'COMPONENT_NOT_FOUND',
  'ENCRYPTION_KEY_NOT_FOUND',
  'INSUFFICIENT_PERMISSIONS',
  'INSUFFICIENT_STORAGE',
  'INVALID_BACKUP_TYPE',
  'RESTORE_FAILED',
  'RESTORE_IN_PROGRESS',
  'RETENTION_POLICY_VIOLATION',
  'STORAGE_FULL',
  // Requests.
  'VALIDATION_FAILED',
  'MALFORMED_BODY',
  'BODY_TOO_LARGE',
  'UNSUPPORTED_MEDIA_TYPE',
  'NOT_SUPPORTED',
  'NOT_FOUND',
  'CONFLICT',
  'UNAUTHENTICATED',
  'INVALID_CREDENTIALS',
  'ORIGIN_REFUSED',
  'RATE_LIMITED',
  'RANGE_NOT_SATISFIABLE',
  'IDEMPOTENCY_KEY_REUSED',
  'IDEMPOTENCY_KEY_IN_USE',
  'CREDENTIALS_REQUIRED',
  'DESTINATION_IN_USE',
  'NOTHING_TO_BACK_UP',
  'LOCAL_NOT_ALLOWED',
  'POOL_NOT_FOUND',
  'JOB_FINISHED',
  'UNAVAILABLE',
  'INTERNAL',
  // Connections to servers.
  'SERVER_UNREACHABLE',
  'SERVER_AUTH_FAILED',
  'HOST_KEY_NOT_PINNED',
  'HOST_KEY_CHANGED',
  'BECOME_FAILED',
  'CONNECTION_LOST',
  'TOOL_MISSING',
  'COMMAND_FAILED',
  'PATH_NOT_FOUND',
  'PATH_REFUSED',
  'PORT_UNREACHABLE',
  // Services on servers.
  'SERVICE_NOT_FOUND',
  'SERVICE_STATE_UNKNOWN',
  'SERVICE_STOP_FAILED',
  'SERVICE_START_FAILED',
  // Destinations.
  'DESTINATION_UNREACHABLE',
  'DESTINATION_AUTH_FAILED',
  'DESTINATION_NOT_FOUND',
  'DESTINATION_READ_ONLY',
  'OBJECT_NOT_FOUND',
  'OBJECT_EXISTS',
  'STORAGE_FAILED',
  'COPY_FAILED',
  // Archives, plans, jobs.
  'ARCHIVE_MALFORMED',
  'PLAN_INVALID',
  'PLAN_EXPIRED',
  'PLAN_VERSION_UNKNOWN',
  'SEAL_INVALID',
  'CANCELLED',
  'ATTEMPT_SUPERSEDED',
  'WORKER_STOPPING',
  'WORKER_LOST',
] as const;

export type ErrorCode = (typeof ERROR_CODES)[number];

/** A failure as it is stored with a job or sent in an event: no secrets, no stack. */
export const Failure = Type.Object(
  {
    code: Type.Enum([...ERROR_CODES]),
    message: Type.String(),
    retryable: Type.Boolean(),
  },
  { additionalProperties: false },
);
export type Failure = Static<typeof Failure>;

const parseFailure = createParser(Failure);

/**
 * What a job's end in the queue says of its failure, as a final one; null for what no worker wrote, such as the
 * queue's own words for a job that stalled too often.
 */
export function readFailure(reason: string): Failure | null {
  try {
    const parsed = parseFailure(JSON.parse(reason));
    return parsed.ok ? { ...parsed.value, retryable: false } : null;
  } catch {
    return null;
  }
}
