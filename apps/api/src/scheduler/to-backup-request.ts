import type { BackupType } from '@tarfleet/contracts';
import type { ScheduleRecord } from '@tarfleet/db';
import type { BackupRequest } from '../planner/backup.ts';

/** What a schedule asks for each time, in the form in which the planner takes it from a request. */
export function toBackupRequest(schedule: ScheduleRecord, runId: string): BackupRequest {
  const { components, services, serverId } = schedule;
  return {
    projectId: schedule.projectId,
    userId: null,
    scheduleId: schedule.id,
    requestId: `schedule-${runId}`,
    dialect: 'botserver',
    type: schedule.type as BackupType,
    name: schedule.name,
    description: null,
    components: components.length > 0 ? components : null,
    services: services.length > 0 ? services : null,
    serverId,
    records: components.length === 0 && services.length === 0 && serverId === null,
    destinationId: schedule.destinationId,
    copyTo: schedule.copyTo,
    retentionDays: schedule.retentionDays,
    verify: schedule.verify,
    compression: { enabled: schedule.compress, level: schedule.compressionLevel },
    deduplicate: schedule.deduplicate,
    encrypt: schedule.encrypt,
    notification: schedule.notification,
    warnings: [],
  };
}
