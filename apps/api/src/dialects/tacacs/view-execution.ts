import type { ArtifactRecord, BackupStatus, FullBackup, StoredEvent } from '@tarfleet/db';
import type { Static } from 'typebox';
import { viewCopy } from '../../routes/backups/copies-schemas.ts';
import { errorOf } from '../../routes/backups/error-of.ts';
import { iso, seconds } from '../../routes/backups/formats.ts';
import { componentsOf } from '../../routes/backups/view.ts';
import type { GetAnswer, STATUSES, TRIGGERS } from './execution-schemas.ts';

type Status = (typeof STATUSES)[number];

/** A backup as document 5 shows the execution that made it. */
export function viewExecution(backup: FullBackup) {
  return {
    id: backup.id,
    destination_id: backup.destinationId,
    destination_name: backup.destination?.name ?? null,
    status: statusOf(backup.status),
    triggered_by: triggerOf(backup),
    schedule_id: backup.scheduleId,
    type: backup.type,
    comment: backup.description,
    created_by: backup.creator,
    backup_path: backup.keyPrefix,
    components: componentsOf(backup),
    size_bytes: backup.sizeBytes ?? 0,
    file_count: backup.filesCount ?? 0,
    record_count: recordsOf(backup),
    encrypted: backup.encrypted,
    verified: backup.verified ?? false,
    manifest: manifestOf(backup),
    started_at: backup.createdAt.toISOString(),
    completed_at: iso(backup.completedAt),
    duration_seconds: seconds(backup.startedAt, backup.completedAt),
    retention_until: iso(backup.retentionUntil),
    locked_until: iso(backup.lockUntil),
    error: errorOf(backup),
    copies: backup.copies.map((copy) => viewCopy(copy, backup.keyPrefix)),
    project_id: backup.projectId,
  };
}

export function viewServices(backup: FullBackup): Static<typeof GetAnswer>['data']['services'] {
  return backup.artifacts.map((artifact) => ({
    id: artifact.serviceId,
    name: artifact.serviceName,
    component: artifact.component,
    server: artifact.serverName,
    status: artifact.status,
    size_bytes: artifact.storedBytes,
    file_count: artifact.files,
    table_count: artifact.tablesCount,
    record_count: artifact.recordsCount,
    checksum: artifact.sha256 && `sha256:${artifact.sha256}`,
    error: failureOf(artifact),
  }));
}

/** What a worker found worth a warning, by the service that it was about. */
export function viewLog(backup: FullBackup, events: readonly StoredEvent[]) {
  const names = new Map(backup.artifacts.map(({ id, serviceName }) => [id, serviceName]));
  return events.flatMap(({ jobId, event }) =>
    event.type === 'warning'
      ? [{ at: event.at, service: names.get(jobId) ?? null, message: event.message }]
      : [],
  );
}

export function fromStatus(status: Status): BackupStatus[] {
  if (status === 'running') return ['in_progress'];
  return status === 'deleted' ? ['deleted', 'hidden'] : [status];
}

function manifestOf({ keyPrefix, manifestSha256 }: FullBackup) {
  if (manifestSha256 === null) return null;
  return { path: `${keyPrefix}/manifest.json`, checksum: `sha256:${manifestSha256}` };
}

/** One that is hidden is deleted for its users. */
function statusOf(status: BackupStatus): Status {
  if (status === 'in_progress') return 'running';
  return status === 'hidden' ? 'deleted' : status;
}

function triggerOf({ occasion, scheduleId }: FullBackup): (typeof TRIGGERS)[number] {
  return occasion ?? (scheduleId === null ? 'manual' : 'schedule');
}

function recordsOf({ artifacts }: FullBackup): number | null {
  const known = artifacts.flatMap(({ recordsCount }) => recordsCount ?? []);
  return known.length === 0 ? null : known.reduce((sum, count) => sum + count, 0);
}

function failureOf({ errorCode, errorMessage }: Pick<ArtifactRecord, 'errorCode' | 'errorMessage'>) {
  return errorCode === null ? null : { code: errorCode, message: errorMessage ?? '' };
}
