import type { FullBackup, JobRecord } from '@tarfleet/db';
import type { ProgressView } from '../jobs/progress.ts';
import { errorOf } from './error-of.ts';
import { iso, seconds } from './formats.ts';

export interface BackupWay {
  job: JobRecord | null;
  /** The jobs of its artifacts. */
  artifacts: readonly Pick<JobRecord, 'id' | 'startedAt' | 'endedAt'>[];
  progress: ProgressView | null;
  /** What backups of the same services took. */
  pastSeconds: number | null;
}

/** Document 2's status of a backup, from its record, its jobs and how far they are. */
export function viewStatus(backup: FullBackup, way: BackupWay) {
  const { progress } = way;
  const ended = backup.completedAt !== null;
  const elapsed = seconds(backup.startedAt, backup.completedAt ?? new Date()) ?? 0;
  const { current, completed, remaining } = phases(backup, way);
  const phase = ended ? backup.status : current;
  return {
    backup_id: backup.id,
    status: backup.status,
    progress_percent: progress?.percent ?? 0,
    current_phase: phase,
    started_at: iso(backup.startedAt),
    elapsed_seconds: elapsed,
    estimated_remaining_seconds: ended ? 0 : remainingSeconds(way, elapsed),
    bytes_processed: ended ? (backup.contentBytes ?? progress?.bytes_done ?? 0) : (progress?.bytes_done ?? 0),
    total_bytes: ended
      ? (backup.contentBytes ?? progress?.bytes_total ?? null)
      : (progress?.bytes_total ?? null),
    files_processed: ended ? (backup.filesCount ?? progress?.files_done ?? 0) : (progress?.files_done ?? 0),
    total_files: ended
      ? (backup.filesCount ?? progress?.files_total ?? null)
      : (progress?.files_total ?? null),
    current_operation: progress?.current ? `Backing up: ${progress.current}` : operationOf(phase),
    phases_completed: completed,
    phases_remaining: remaining,
    error: errorOf(backup),
  };
}

/** What is done in a phase, where no worker names a file. */
function operationOf(phase: string): string {
  return OPERATIONS[phase] ?? `Backing up: ${phase.replace('backing_up_', '')}`;
}

const OPERATIONS: Record<string, string> = {
  queued: 'Waiting for a worker',
  verifying: 'Reading back what was stored',
  committing: 'Writing the manifest',
  in_progress: 'Ending',
  completed: 'Completed',
  partial: 'Completed in part',
  failed: 'Failed',
  cancelled: 'Cancelled',
  deleting: 'Being deleted',
  hidden: 'Deleted',
};

/** By its own pace; before it has one, by the past. What takes longer than ever tells nothing. */
function remainingSeconds({ progress, pastSeconds }: BackupWay, elapsed: number): number | null {
  if (progress?.seconds_left != null) return progress.seconds_left;
  return pastSeconds === null || pastSeconds <= elapsed ? null : pastSeconds - elapsed;
}

/** A component's phase is over when all of its artifacts have ended; then the parent's job closes the backup. */
function phases(backup: FullBackup, { job, artifacts }: BackupWay) {
  const jobOf = (id: string) => artifacts.find((one) => one.id === id);
  const over = (component: string): boolean =>
    backup.artifacts.every((one) => one.component !== component || jobOf(one.id)?.endedAt);
  const components = [...new Set(backup.artifacts.map(({ component }) => component))].sort();
  const closing = [...(backup.verifyRequested ? ['verification'] : []), 'commit'];
  const all = [...components.map(backupPhase), ...closing];
  if (backup.status === 'completed' || backup.status === 'partial') {
    return { current: backup.status, completed: all, remaining: [] };
  }
  const running = backup.artifacts.find(({ id }) => jobOf(id)?.startedAt && !jobOf(id)?.endedAt);
  const closes = backup.verifyRequested ? 'verifying' : 'committing';
  return {
    current: running ? `backing_up_${running.component}` : job?.startedAt ? closes : 'queued',
    completed: components.filter(over).map(backupPhase),
    remaining: [...components.filter((one) => !over(one)).map(backupPhase), ...closing],
  };
}

/** `files` becomes `file_backup`, as document 2 has it. */
function backupPhase(component: string): string {
  return `${NAMES[component] ?? component}_backup`;
}

const NAMES: Record<string, string> = { files: 'file', configurations: 'configuration' };
