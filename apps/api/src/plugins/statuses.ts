import type { ErrorCode } from '@tarfleet/contracts';

export interface StatusRule {
  status: number;
  /** The error's own text stays inside: the client gets a general sentence. */
  hidden?: true;
  /** Seconds after which the same request may well be granted: `Retry-After`, where nobody knows better. */
  retryAfter?: number;
}

const hidden = (status: number): StatusRule => ({ status, hidden: true });
const shown = (status: number): StatusRule => ({ status });
const passing = (status: number, retryAfter: number): StatusRule => ({ status, retryAfter });

/** Backups and restores take minutes, and who is told of one can follow it meanwhile. */
const RUN_SECONDS = 30;

/** The one place where error codes become HTTP statuses. */
export const STATUSES: Record<ErrorCode, StatusRule> = {
  BACKUP_NOT_FOUND: shown(404),
  BACKUP_IN_PROGRESS: passing(409, RUN_SECONDS),
  BACKUP_INCOMPLETE: shown(409),
  BACKUP_CORRUPTED: shown(422),
  BACKUP_VERIFICATION_FAILED: shown(422),
  COMPONENT_NOT_FOUND: shown(404),
  ENCRYPTION_KEY_NOT_FOUND: shown(422),
  INSUFFICIENT_PERMISSIONS: shown(403),
  INSUFFICIENT_STORAGE: shown(507),
  INVALID_BACKUP_TYPE: shown(400),
  RESTORE_FAILED: shown(500),
  RESTORE_IN_PROGRESS: passing(409, RUN_SECONDS),
  RETENTION_POLICY_VIOLATION: shown(409),
  STORAGE_FULL: shown(507),

  VALIDATION_FAILED: shown(400),
  MALFORMED_BODY: shown(400),
  BODY_TOO_LARGE: shown(413),
  UNSUPPORTED_MEDIA_TYPE: shown(415),
  NOT_SUPPORTED: shown(400),
  NOT_FOUND: shown(404),
  CONFLICT: shown(409),
  UNAUTHENTICATED: shown(401),
  INVALID_CREDENTIALS: shown(401),
  ORIGIN_REFUSED: shown(403),
  RATE_LIMITED: shown(429),
  RANGE_NOT_SATISFIABLE: shown(416),
  IDEMPOTENCY_KEY_REUSED: shown(422),
  IDEMPOTENCY_KEY_IN_USE: passing(409, 1),
  CREDENTIALS_REQUIRED: shown(400),
  DESTINATION_IN_USE: shown(409),
  NOTHING_TO_BACK_UP: shown(400),
  LOCAL_NOT_ALLOWED: shown(403),
  POOL_NOT_FOUND: shown(404),
  JOB_FINISHED: shown(409),
  UNAVAILABLE: passing(503, 5),
  INTERNAL: hidden(500),

  // A job that was waited for met these on a machine that is not ours; their messages are meant for users.
  SERVER_UNREACHABLE: shown(502),
  SERVER_AUTH_FAILED: shown(502),
  HOST_KEY_NOT_PINNED: shown(409),
  HOST_KEY_CHANGED: shown(502),
  BECOME_FAILED: shown(502),
  CONNECTION_LOST: shown(502),
  TOOL_MISSING: shown(502),
  COMMAND_FAILED: shown(502),
  PATH_NOT_FOUND: shown(422),
  PATH_REFUSED: shown(422),
  PORT_UNREACHABLE: shown(502),
  SERVICE_NOT_FOUND: shown(422),
  SERVICE_STATE_UNKNOWN: shown(502),
  SERVICE_STOP_FAILED: shown(502),
  SERVICE_START_FAILED: shown(502),

  DESTINATION_UNREACHABLE: shown(502),
  DESTINATION_AUTH_FAILED: shown(502),
  DESTINATION_NOT_FOUND: shown(502),
  DESTINATION_READ_ONLY: shown(502),
  OBJECT_NOT_FOUND: shown(422),
  OBJECT_EXISTS: shown(409),
  STORAGE_FAILED: shown(502),
  COPY_FAILED: shown(502),

  ARCHIVE_MALFORMED: shown(422),
  PLAN_INVALID: hidden(500),
  PLAN_EXPIRED: hidden(500),
  PLAN_VERSION_UNKNOWN: hidden(500),
  SEAL_INVALID: shown(409),
  CANCELLED: shown(409),
  ATTEMPT_SUPERSEDED: hidden(500),
  WORKER_STOPPING: passing(503, 5),
  WORKER_LOST: shown(500),
};
