import { type AuditEntry, createAuditId, type ScheduleRecord, type ScheduleRunRecord } from '@tarfleet/db';

/** The row of the audit log for a time at which a schedule was due: nobody sent a request. */
export function auditTick(schedule: ScheduleRecord, run: ScheduleRunRecord): AuditEntry {
  const { backupId, status } = run;
  return {
    id: createAuditId(run.startedAt),
    at: run.startedAt,
    ...{ userId: null, userEmail: null, via: 'schedule', tokenId: null, tokenName: null },
    action: 'backup.create',
    ...{ method: '', route: '', ip: '' },
    targetType: backupId === null ? 'schedule' : 'backup',
    targetId: backupId ?? schedule.id,
    projectId: schedule.projectId,
    outcome: backupId !== null ? 'accepted' : status === 'skipped' ? 'refused' : 'failed',
    status: null,
    errorCode: run.errorCode,
    requestId: `schedule-${run.id}`,
    details: {
      schedule_id: schedule.id,
      schedule_name: schedule.name,
      due_at: run.dueAt.toISOString(),
      ...(run.missed > 0 ? { missed: run.missed } : {}),
      ...(backupId === null ? { run: status } : { job_id: backupId }),
    },
  };
}
