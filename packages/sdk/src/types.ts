import type { components, paths } from './generated/api.ts';

type Json<O> = O extends { responses: Record<200, { content: { 'application/json': infer T } }> } ? T : never;
type Body<O> = O extends { requestBody?: infer R }
  ? NonNullable<R> extends { content: { 'application/json': infer T } }
    ? NonNullable<T>
    : never
  : never;

type ProjectBackups = paths['/api/projects/{id}/backups'];
type OneBackup = paths['/api/backups/{id}'];
type Restoring = paths['/api/backups/{id}/restore']['post'];
type Verifying = paths['/api/backups/{id}/verify']['post'];

export type BackupPage = Json<ProjectBackups['get']>;
export type BackupCreated = Json<ProjectBackups['post']>;
export type BackupShown = Json<OneBackup['get']>;
export type BackupDeleted = Json<OneBackup['delete']>;
export type BackupRestored = Json<Restoring>;
export type BackupVerified = Json<Verifying>;
export type JobShown = Json<paths['/api/jobs/{id}']['get']>;
export type RestoreBody = Body<Restoring>;
export type VerifyBody = Body<Verifying>;

/** A backup as it stands in a list. `size` is in bytes, times are UTC in ISO 8601. */
export type Backup = BackupPage['data'][number];
/** All that is known of a backup; `details` has its services, warnings and how it was made. */
export type BackupDetails = Backup & { details: BackupShown['data'] };
/** What a new backup is called; `name` must be there. */
export type NewBackup = Body<ProjectBackups['post']>;
/** A job that runs or has ended; `result` depends on its kind. */
export type Job = JobShown['data'];
/** How far a job is. */
export type Progress = Job['progress'];

/** What the API says of an error by its code. */
export type ApiErrorCode = components['schemas']['Error']['code'];

/** What a restore may be told; all of it may be left out. Names of paths and services are those of the backup. */
export type RestoreOptions = Omit<RestoreBody, 'target_project_id' | 'target_server_id'> & {
  targetProjectId?: number;
  targetServerId?: string;
};
/** A restore that was accepted; `wait` follows it. */
export type Restore = BackupRestored['data'] & { message: string; target_project_id: number; jobId: string };

/** How closely to look; left out, the stored objects are compared with their checksums. */
export interface VerifyOptions {
  deepVerification?: boolean;
  testRestore?: boolean;
  components?: string[];
}
/** A verification that was accepted; `wait` follows it. */
export type Verification = BackupVerified['data'] & { message: string; jobId: string };

/** What is still to be kept goes only by force, with a reason. */
export interface DeleteOptions {
  force?: boolean;
  reason?: string;
}
/** `jobId` is null where nothing is left to be done. */
export type Deletion = BackupDeleted['data'] & { message: string; jobId: string | null };
