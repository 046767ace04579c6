import type { FullBackup, JobRecord } from '@tarfleet/db';
import type { ProgressView } from '../jobs/progress.ts';
import { iso, seconds } from './formats.ts';

/** Document 2's status of a backup, from its record, its job and how far that is. */
export function viewStatus(backup: FullBackup, job: JobRecord | null, progress: ProgressView | null) {
  const ended = backup.completedAt !== null;
  const { completed, remaining } = phases(backup, job);
  return {
    backup_id: backup.id,
    status: backup.status,
    progress_percent: progress?.percent ?? 0,
    current_phase: ended ? backup.status : (progress?.phase ?? 'queued'),
    started_at: iso(backup.startedAt),
    elapsed_seconds: seconds(backup.startedAt, backup.completedAt ?? new Date()) ?? 0,
    estimated_remaining_seconds: ended ? 0 : (progress?.seconds_left ?? null),
    bytes_processed: ended ? (backup.contentBytes ?? progress?.bytes_done ?? 0) : (progress?.bytes_done ?? 0),
    total_bytes: ended
      ? (backup.contentBytes ?? progress?.bytes_total ?? null)
      : (progress?.bytes_total ?? null),
    files_processed: ended ? (backup.filesCount ?? progress?.files_done ?? 0) : (progress?.files_done ?? 0),
    total_files: ended
      ? (backup.filesCount ?? progress?.files_total ?? null)
      : (progress?.files_total ?? null),
    current_operation: progress?.current ? `Backing up: ${progress.current}` : null,
    phases_completed: completed,
    phases_remaining: remaining,
    error: backup.errorCode ? { code: backup.errorCode, message: backup.errorMessage ?? '' } : null,
  };
}

/** The parent's job begins when every artifact's has ended. */
function phases(backup: FullBackup, job: JobRecord | null) {
  const all = ['file_backup', ...(backup.verifyRequested ? ['verification'] : []), 'commit'];
  if (backup.status === 'completed' || backup.status === 'partial') return { completed: all, remaining: [] };
  const done = job?.startedAt ? 1 : 0;
  return { completed: all.slice(0, done), remaining: all.slice(done) };
}
