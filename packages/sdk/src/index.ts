export type { BackupList, ListOptions } from './backup-list.ts';
export type { Backups, StartOptions } from './backups.ts';
export { type Client, type ClientOptions, createClient } from './client.ts';
export type { WaitOptions } from './follow-job.ts';
export type { CallOptions } from './http.ts';
export { type ErrorCode, TarfleetError } from './tarfleet-error.ts';
export type {
  ApiErrorCode,
  Backup,
  BackupDetails,
  DeleteOptions,
  Deletion,
  Job,
  NewBackup,
  Progress,
  Restore,
  RestoreOptions,
  Verification,
  VerifyOptions,
} from './types.ts';
