import type { Failure, NotificationEvent, ResultOf } from '@tarfleet/contracts';
import type {
  BackupRecord,
  FullBackup,
  JobRecord,
  RestoreRecord,
  ScheduleRecord,
  ScheduleRunRecord,
} from '@tarfleet/db';
import type { End } from '../recorder/end.ts';
import { errorOf } from '../routes/backups/error-of.ts';

/** What a webhook's test sends; nothing subscribes to it. */
export const TEST_EVENT = 'webhook.test';

/** What is sent as JSON: document 2's shape. Names are snake case. */
export interface Payload {
  event: NotificationEvent | typeof TEST_EVENT;
  /** When it happened, which may be long before it is sent. */
  timestamp: string;
  data: Record<string, unknown>;
}

type ErrorData = Pick<Failure, 'code' | 'message'> | null;

/** Of a backup that a worker has begun, or that has ended; `status` is the record's. */
export function backupPayload(
  event: NotificationEvent,
  backup: BackupRecord & Partial<Pick<FullBackup, 'copies'>>,
  at: Date,
): Payload {
  const { completedAt } = backup;
  return {
    event,
    timestamp: at.toISOString(),
    data: {
      backup_id: backup.id,
      type: backup.type,
      size_bytes: backup.sizeBytes,
      duration_seconds: completedAt && secondsBetween(backup.startedAt, completedAt),
      status: backup.status,
      project_id: backup.projectId,
      name: backup.name,
      started_at: backup.startedAt?.toISOString() ?? null,
      completed_at: completedAt?.toISOString() ?? null,
      verified: backup.verified,
      error: errorOf({ copies: [], ...backup }),
    },
  };
}

/** Of a time at which a schedule was due and no backup was begun: the fields of a backup, of which there is none. */
export function notBegunPayload(schedule: ScheduleRecord, run: ScheduleRunRecord): Payload {
  const { errorCode: code, errorMessage: message } = run;
  return {
    event: 'backup.failed',
    timestamp: run.startedAt.toISOString(),
    data: {
      ...{ backup_id: null, type: schedule.type, size_bytes: null, duration_seconds: null },
      ...{ status: run.status, project_id: schedule.projectId, name: schedule.name },
      ...{ started_at: null, completed_at: null, verified: null },
      error: message === null ? null : { code: code ?? 'BACKUP_INCOMPLETE', message },
      schedule_id: schedule.id,
      due_at: run.dueAt.toISOString(),
    },
  };
}

/** Of a verification's end; null of the result when it came to none. */
export function verifiedPayload(
  backup: BackupRecord,
  at: Date,
  found: {
    result: Pick<ResultOf<'verify'>, 'valid' | 'level' | 'issues'> | null;
    jobId: string;
    durationSeconds: number | null;
    failure: Failure | null;
  },
): Payload {
  const { result, failure } = found;
  const status = result === null ? 'not_completed' : result.valid ? 'passed' : 'failed';
  const error: ErrorData = result === null && failure ? brief(failure) : null;
  return {
    event: 'backup.verified',
    timestamp: at.toISOString(),
    data: {
      ...{ backup_id: backup.id, type: backup.type, size_bytes: backup.sizeBytes },
      ...{ duration_seconds: found.durationSeconds, status, project_id: backup.projectId, name: backup.name },
      verify_job_id: found.jobId,
      verification_level: result?.level ?? null,
      issues: (result?.issues ?? []).slice(0, MOST_ISSUES),
      error,
    },
  };
}

/** More are in the job. */
const MOST_ISSUES = 20;

export function restorePayload(
  event: NotificationEvent,
  restore: RestoreRecord,
  at: Date,
  end: Pick<End, 'failure'> | null,
): Payload {
  const { completedAt } = restore;
  const failed = event === 'restore.failed';
  return {
    event,
    timestamp: at.toISOString(),
    data: {
      restore_id: restore.id,
      backup_id: restore.backupId,
      type: restore.restoreType,
      duration_seconds: end && completedAt && secondsBetween(restore.startedAt, completedAt),
      status: end ? restore.status : 'in_progress',
      project_id: restore.projectId,
      server_id: restore.serverId,
      services: restore.servicesToRestore,
      services_restored: restore.servicesRestored,
      services_failed: restore.servicesFailed,
      started_at: restore.startedAt?.toISOString() ?? null,
      completed_at: end ? (completedAt?.toISOString() ?? null) : null,
      error: failed
        ? { code: end?.failure?.code ?? 'RESTORE_FAILED', message: restore.errorMessage ?? '' }
        : null,
    },
  };
}

export function durationOf(job: Pick<JobRecord, 'startedAt'>, endedAt: Date): number | null {
  return secondsBetween(job.startedAt, endedAt);
}

function secondsBetween(from: Date | null, to: Date): number | null {
  return from && Math.max(0, Math.round((to.getTime() - from.getTime()) / 1000));
}

function brief({ code, message }: Failure): ErrorData {
  return { code, message };
}
