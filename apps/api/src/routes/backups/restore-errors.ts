import type { ErrorCode } from '@tarfleet/contracts';

/** What may be in the way of a restore, or of a look at what it would do. */
export const LOOK_ERRORS = [
  'BACKUP_NOT_FOUND',
  'NOT_FOUND',
  'NOT_SUPPORTED',
  'CREDENTIALS_REQUIRED',
  'POOL_NOT_FOUND',
  'BACKUP_INCOMPLETE',
  'HOST_KEY_NOT_PINNED',
  'CONFLICT',
  'ENCRYPTION_KEY_NOT_FOUND',
] as const satisfies readonly ErrorCode[];

/** What a restore may be answered with. */
export const RESTORE_ERRORS = [
  ...LOOK_ERRORS,
  'BACKUP_IN_PROGRESS',
  'RESTORE_IN_PROGRESS',
  'RESTORE_FAILED',
] as const satisfies readonly ErrorCode[];
