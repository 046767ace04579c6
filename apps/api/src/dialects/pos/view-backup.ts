import type { BackupStatus, FullBackup } from '@tarfleet/db';
import type { Static } from 'typebox';
import { iso } from '../../routes/backups/formats.ts';
import { checksumOf, componentsOf, locationOf, viewLock } from '../../routes/backups/view.ts';
import type { BACKUP_STATUSES, GetAnswer } from './backup-schemas.ts';

type Status = (typeof BACKUP_STATUSES)[number];
type Shown = Static<typeof GetAnswer>['backup'];

/** As the document names those that nobody has named. */
export function nameOf({ id, name, createdAt }: Pick<FullBackup, 'id' | 'name' | 'createdAt'>): string {
  return name ?? `backup-${createdAt.toISOString().slice(0, 10)}-${id.slice(-6)}`;
}

/** What the document shows of every backup. */
export function viewBackup(backup: FullBackup) {
  return {
    id: backup.id,
    name: nameOf(backup),
    type: backup.chosen ? ('partial' as const) : (backup.type as Shown['type']),
    size: backup.sizeBytes ?? 0,
    encrypted: backup.encrypted,
    checksum: checksumOf(backup),
    createdAt: backup.createdAt.toISOString(),
    status: statusOf(backup.status),
  };
}

export function viewListed(backup: FullBackup) {
  return {
    ...viewBackup(backup),
    components: componentsOf(backup),
    compressed: backup.compressed,
    completedAt: iso(backup.completedAt),
    retentionDays: backup.retentionDays,
    expiresAt: iso(backup.retentionUntil),
    verified: backup.verified ?? false,
    createdBy: backup.creator,
    projectId: backup.projectId,
  };
}

export function viewDetails(backup: FullBackup): Shown {
  const stored = backup.status === 'completed' || backup.status === 'partial';
  return {
    ...viewListed(backup),
    location: locationOf(backup),
    locked: viewLock(backup),
    downloadUrl: stored ? `/api/backup/${backup.id}/download` : null,
    services: backup.artifacts.map((artifact) => ({
      id: artifact.serviceId,
      name: artifact.serviceName,
      component: artifact.component,
      server: artifact.serverName,
      status: artifact.status,
      size: artifact.storedBytes,
      checksum: artifact.sha256 && `sha256:${artifact.sha256}`,
      files: artifact.files,
      error: artifact.errorMessage,
    })),
    warnings: backup.warnings,
    error: backup.errorMessage,
  };
}

/** Hidden and deleted ones are not shown at all. */
function statusOf(status: BackupStatus): Status {
  if (status === 'in_progress') return 'running';
  return status === 'hidden' || status === 'deleted' ? 'deleting' : status;
}

export function toStatus(status: Status): BackupStatus {
  return status === 'running' ? 'in_progress' : status;
}

export function paginationOf({ page, limit }: { page: number; limit: number }, total: number) {
  const totalPages = Math.ceil(total / limit);
  return { page, limit, total, totalPages, hasNext: page < totalPages, hasPrev: page > 1 && totalPages > 0 };
}
