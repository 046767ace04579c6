import type { ScheduleAlert, ScheduleHistory, ScheduleRecord, ScheduleRunRecord } from '@tarfleet/db';

const ENDED_BADLY = ['partial', 'failed', 'cancelled', 'skipped', 'missed'] as const;

/** A schedule as document 2 shows it, with its settings and what is wrong beside that. */
export function scheduleView(
  schedule: ScheduleRecord,
  history: ScheduleHistory | undefined,
  alerts: ScheduleAlert[],
) {
  const count = (status: ScheduleRunRecord['status']): number => history?.counts[status] ?? 0;
  const completed = count('completed');
  const failed = ENDED_BADLY.reduce((sum, status) => sum + count(status), 0);
  const last = history?.last ?? null;
  return {
    id: schedule.id,
    name: schedule.name,
    type: schedule.type,
    enabled: schedule.enabled,
    cron: schedule.cron,
    interval: schedule.every,
    next_run: schedule.nextAt?.toISOString() ?? null,
    last_run: last?.dueAt.toISOString() ?? null,
    last_status: last?.status ?? null,
    total_runs: completed + failed + count('in_progress'),
    successful_runs: completed,
    failed_runs: failed,
    running: count('in_progress') > 0,
    partial_runs: count('partial'),
    skipped_runs: count('skipped'),
    missed_runs: count('missed'),
    last_backup_id: last?.backupId ?? null,
    last_error: last ? errorOf(last) : null,
    alerts: alerts
      .filter(({ scheduleId }) => scheduleId === schedule.id)
      .map(({ kind, dueAt, raisedAt, message }) => ({
        ...{ kind, due_at: dueAt.toISOString(), raised_at: raisedAt.toISOString(), message },
      })),
    project_id: schedule.projectId,
    time_zone: schedule.timeZone,
    catch_up: schedule.catchUp,
    max_lateness_seconds: schedule.maxLatenessSeconds,
    components: orNull(schedule.components),
    services: orNull(schedule.services),
    server_id: schedule.serverId,
    destination_id: schedule.destinationId,
    copy_to: schedule.copyTo,
    retention_days: schedule.retentionDays,
    retention: schedule.retention,
    encrypt: schedule.encrypt,
    verify: schedule.verify,
    compress: schedule.compress,
    compression_level: schedule.compressionLevel,
    deduplicate: schedule.deduplicate,
    notification: schedule.notification,
    created_at: schedule.createdAt.toISOString(),
    updated_at: schedule.updatedAt.toISOString(),
  };
}

/** What became of one time that was due. */
export function runView(run: ScheduleRunRecord) {
  return {
    due_at: run.dueAt.toISOString(),
    status: run.status,
    backup_id: run.backupId,
    triggered: run.triggered ?? false,
    missed: run.missed,
    missed_since: run.missedSince?.toISOString() ?? null,
    started_at: run.startedAt.toISOString(),
    ended_at: run.endedAt?.toISOString() ?? null,
    error: errorOf(run),
  };
}

/** A time that was missed has a reason, and no code. */
function errorOf({ status, errorCode, errorMessage }: ScheduleRunRecord) {
  return errorMessage === null ? null : { code: errorCode ?? status.toUpperCase(), message: errorMessage };
}

/** None means all. */
function orNull(names: string[]): string[] | null {
  return names.length > 0 ? names : null;
}
