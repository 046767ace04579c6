import type { ArtifactRecord, FullBackup } from '@tarfleet/db';
import { VERSION } from '../../version.ts';
import { urlOf } from '../destinations/location.ts';
import { viewCopy } from './copies-schemas.ts';
import { errorOf } from './error-of.ts';
import { formatBytes, iso, seconds } from './formats.ts';

/** Who makes the backups of schedules. */
const SCHEDULER = 'system_scheduler';

/** A backup in document 2's list. */
export function viewListItem(backup: FullBackup) {
  return {
    id: backup.id,
    type: backup.type,
    status: backup.status,
    size_bytes: backup.sizeBytes ?? 0,
    size_formatted: formatBytes(backup.sizeBytes ?? 0),
    created_at: backup.createdAt.toISOString(),
    completed_at: iso(backup.completedAt),
    duration_seconds: seconds(backup.startedAt, backup.completedAt),
    location: locationOf(backup),
    encrypted: backup.encrypted,
    verified: backup.verified ?? false,
    retention_until: iso(backup.retentionUntil),
    locked: viewLock(backup),
    components: componentsOf(backup),
    checksum: checksumOf(backup),
    metadata: {
      // Document 2's system has bots and users; here nobody knows of any.
      bot_count: null,
      user_count: null,
      file_count: backup.filesCount ?? 0,
      // Databases, and what the details call so: `components.database` of files that a database lies in.
      database_size: backup.artifacts.reduce(
        (sum, { backupMethod, component, contentBytes }) =>
          sum + (backupMethod === null && component !== 'database' ? 0 : (contentBytes ?? 0)),
        0,
      ),
      service_count: backup.artifacts.length,
      warning_count: backup.artifacts.reduce((sum, artifact) => sum + artifact.warnings, 0),
    },
  };
}

/** A backup in document 2's details. */
export function viewDetails(backup: FullBackup, fileWarnings: FileWarning[]) {
  const content = backup.contentBytes ?? 0;
  const stored = backup.sizeBytes ?? 0;
  return {
    id: backup.id,
    type: backup.type,
    status: backup.status,
    name: backup.name,
    description: backup.description,
    project_id: backup.projectId,
    size_bytes: stored,
    size_formatted: formatBytes(stored),
    content_bytes: content,
    created_at: backup.createdAt.toISOString(),
    completed_at: iso(backup.completedAt),
    duration_seconds: seconds(backup.startedAt, backup.completedAt),
    location: locationOf(backup),
    encrypted: backup.encrypted,
    encryption_algorithm: backup.encrypted ? 'AES-256-GCM' : null,
    compressed: backup.compressed,
    deduplicated: backup.deduplicated,
    compression_ratio: stored > 0 && content > 0 ? Math.round((content / stored) * 100) / 100 : null,
    verified: backup.verified ?? false,
    verification_date: iso(backup.verifiedAt),
    retention_days: backup.retentionDays,
    retention_until: iso(backup.retentionUntil),
    locked: viewLock(backup),
    components: Object.fromEntries(
      componentsOf(backup).map((name) => [
        name,
        viewComponent(
          name,
          backup.artifacts.filter((artifact) => artifact.component === name),
        ),
      ]),
    ),
    services: backup.artifacts.map(viewService),
    checksum: checksumOf(backup),
    metadata: {
      server_version: VERSION,
      server_hostname: [...new Set(backup.artifacts.map((artifact) => artifact.serverName))].join(', '),
      backup_software_version: VERSION,
      created_by: backup.scheduleId === null ? backup.creator : SCHEDULER,
      schedule_id: backup.scheduleId,
      tags: [] as string[],
    },
    restore_count: backup.restoreCount,
    last_restore_date: iso(backup.lastRestoredAt),
    warnings: backup.warnings,
    file_warnings: fileWarnings,
    error: errorOf(backup),
    copies: backup.copies.map((copy) => viewCopy(copy, backup.keyPrefix)),
  };
}

/** Null when it is not locked, or no longer. */
export function viewLock({
  lockedAt,
  lockedBy,
  lockReason,
  lockUntil,
}: Pick<FullBackup, 'lockedAt' | 'lockedBy' | 'lockReason' | 'lockUntil'>) {
  if (lockedAt === null || (lockUntil !== null && lockUntil <= new Date())) return null;
  return { since: lockedAt.toISOString(), until: iso(lockUntil), by: lockedBy, reason: lockReason ?? '' };
}

/** One file that was not captured as it should be. */
export interface FileWarning {
  service: string | null;
  code: string;
  message: string;
  path: string | null;
  path_base64: string | null;
}

/** Document 3's backup object, beside document 2's envelope. */
export function viewObject(backup: FullBackup) {
  return {
    id: backup.id,
    name: backup.name,
    description: backup.description,
    type: backup.automatic ? ('automatic' as const) : ('manual' as const),
    status: objectStatus(backup.status),
    size: backup.sizeBytes ?? 0,
    file_path: locationOf(backup),
    checksum: checksumOf(backup),
    created_at: backup.createdAt.toISOString(),
    completed_at: iso(backup.completedAt),
    project_id: backup.projectId,
  };
}

/** What document 3 calls it; hidden is deleted to everybody who looks. */
function objectStatus(status: FullBackup['status']) {
  if (status === 'in_progress') return 'creating' as const;
  return status === 'hidden' ? ('deleted' as const) : status;
}

function viewComponent(name: string, artifacts: ArtifactRecord[]) {
  const sum = (of: (artifact: ArtifactRecord) => number | null): number =>
    artifacts.reduce((total, artifact) => total + (of(artifact) ?? 0), 0);
  const databases = artifacts.filter(({ backupMethod }) => backupMethod !== null);
  return {
    size_bytes: sum((artifact) => artifact.contentBytes),
    ...(databases.length > 0 ? viewDatabases(databases) : {}),
    ...(databases.length < artifacts.length ? viewFiles(sum) : {}),
    // Document 2's system has users; here nobody knows of any.
    ...(name === 'user_data' ? { users_count: null } : {}),
  };
}

function viewFiles(sum: (of: (artifact: ArtifactRecord) => number | null) => number) {
  return {
    files_count: sum((artifact) => (artifact.backupMethod === null ? artifact.files : 0)),
    directories_count: sum((artifact) => (artifact.backupMethod === null ? artifact.directories : 0)),
  };
}

/** A sum of which a part is not known is not known. */
function viewDatabases(artifacts: ArtifactRecord[]) {
  const sum = (of: (artifact: ArtifactRecord) => number | null): number | null =>
    artifacts.reduce<number | null>((total, artifact) => {
      const one = of(artifact);
      return total === null || one === null ? null : total + one;
    }, 0);
  return {
    tables_count: sum((artifact) => artifact.tablesCount),
    records_count: sum((artifact) => artifact.recordsCount),
    backup_method: [...new Set(artifacts.map((artifact) => artifact.backupMethod))].join(', '),
  };
}

function viewService(artifact: ArtifactRecord) {
  return {
    id: artifact.serviceId,
    name: artifact.serviceName,
    component: artifact.component,
    server_id: artifact.serverId,
    server_name: artifact.serverName,
    status: artifact.status,
    paths: artifact.paths,
    parent_id: artifact.parentId,
    size_bytes: artifact.storedBytes,
    content_bytes: artifact.contentBytes,
    files_count: artifact.files,
    warning_count: artifact.warnings,
    checksum: artifact.sha256 ? `sha256:${artifact.sha256}` : null,
    file_path: artifact.key,
    error: artifact.errorCode ? { code: artifact.errorCode, message: artifact.errorMessage ?? '' } : null,
  };
}

/** Where its objects lie, as a URL. */
export function locationOf(backup: FullBackup): string | null {
  const { destination, keyPrefix } = backup;
  return destination && `${urlOf(destination)}/${keyPrefix}`;
}

/** Of the manifest, which holds the SHA-256 of every archive. */
export function checksumOf(backup: FullBackup): string | null {
  return backup.manifestSha256 ? `sha256:${backup.manifestSha256}` : null;
}

export function componentsOf(backup: FullBackup): string[] {
  return [...new Set(backup.artifacts.map((artifact) => artifact.component))].sort();
}
