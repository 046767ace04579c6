import type { ErrorCode, Failure } from '@tarfleet/contracts';
import type { Artifact } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export type ArtifactStatus = 'in_progress' | 'completed' | 'failed' | 'cancelled';

/** Sizes in bytes. Server and service are remembered by name: they may be gone when the backup is still wanted. */
export interface ArtifactRecord {
  id: string;
  serverId: string;
  serverName: string;
  serviceId: string;
  serviceName: string;
  component: string;
  paths: string[];
  exclude: string[];
  status: ArtifactStatus;
  key: string | null;
  sha256: string | null;
  storedBytes: number | null;
  /** Of its list of entries, as stored. */
  indexKey: string | null;
  indexBytes: number | null;
  contentBytes: number | null;
  files: number | null;
  directories: number | null;
  warnings: number;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  startedAt: Date | null;
  completedAt: Date | null;
  /** What it was compared with; null when everything was read. */
  parentId: string | null;
  /** How a database was backed up; null for files. */
  backupMethod: string | null;
  /** Of a database; null where that is not known. */
  tablesCount: number | null;
  recordsCount: number | null;
}

export type ArtifactDraft = Pick<
  ArtifactRecord,
  | 'id'
  | 'serverId'
  | 'serverName'
  | 'serviceId'
  | 'serviceName'
  | 'component'
  | 'paths'
  | 'exclude'
  | 'parentId'
> & { chainBegunAt: Date | null };

/** What a new artifact must have in common with the one it is compared with. */
export interface ParentFilter {
  projectId: number;
  destinationId: string;
  serviceId: string;
  paths: string[];
  exclude: string[];
  encrypted: boolean;
  /** Only one that read everything itself. */
  full: boolean;
}

export interface ParentRecord {
  artifactId: string;
  backupId: string;
  keyPrefix: string;
  manifestSha256: string;
  /** When the artifact was made that its chain begins with. */
  chainBegunAt: Date;
}

export interface ArtifactDone {
  key: string;
  sha256: string;
  storedBytes: number;
  tarBytes: number;
  contentBytes: number;
  files: number;
  directories: number;
  otherEntries: number;
  warnings: number;
  attempt: number;
  indexKey: string | null;
  indexBytes: number | null;
  parentId: string | null;
  backupMethod: string | null;
  tablesCount: number | null;
  recordsCount: number | null;
  startedAt: Date;
  completedAt: Date;
}

/** What an artifact of a service once took. Bytes and seconds. */
export interface PastArtifact {
  serviceId: string;
  /** With its index, as stored. */
  storedBytes: number;
  seconds: number;
  /** What its backup took after its last artifact: reading back, the manifest. */
  closingSeconds: number;
}

export interface Artifacts {
  /** The newest sound one that a new artifact can be compared with. */
  findParent(filter: ParentFilter): Promise<ParentRecord | null>;
  /** Those that it cannot be restored without, with their backups. */
  ancestorsOf(id: string): Promise<{ artifactId: string; backupId: string }[]>;
  /** From now on the ancestors' backups keep their objects as long as this one is there. */
  refer(id: string, ancestorIds: string[]): Promise<void>;
  /** Lets go of the ancestors that are not among these. */
  referOnly(id: string, ancestorIds: string[]): Promise<void>;
  /** Lets go of all ancestors of a backup's artifacts. */
  releaseAll(backupId: string): Promise<void>;
  /** How many artifacts of other backups need one of this backup's. */
  countDependents(backupId: string): Promise<number>;
  /** The newest few completed ones of each service, but for one backup, of those that read everything or of those that did not. */
  past(serviceIds: string[], filter: { full: boolean; but: string }): Promise<PastArtifact[]>;
  complete(id: string, done: ArtifactDone): Promise<void>;
  fail(id: string, failure: Failure, at: Date): Promise<void>;
}

/** How many tell what the next one takes. */
const PAST = 5;

export function createArtifacts(db: Db): Artifacts {
  return {
    async findParent({ projectId, destinationId, serviceId, paths, exclude, encrypted, full }) {
      const row = await db.artifact.findFirst({
        where: {
          ...{ serviceId, status: 'completed', indexKey: { not: null } },
          paths: { equals: paths },
          exclude: { equals: exclude },
          ...(full ? { parentId: null } : {}),
          backup: {
            ...{ projectId, destinationId, encrypted, manifestSha256: { not: null } },
            status: { in: ['completed', 'partial'] },
            OR: [{ verified: null }, { verified: true }],
          },
        },
        orderBy: [{ backup: { createdAt: 'desc' } }, { id: 'desc' }],
        include: { backup: { select: { keyPrefix: true, manifestSha256: true, createdAt: true } } },
      });
      if (!row?.backup.manifestSha256) return null;
      const { keyPrefix, manifestSha256, createdAt } = row.backup;
      const chainBegunAt = row.chainBegunAt ?? createdAt;
      return { artifactId: row.id, backupId: row.backupId, keyPrefix, manifestSha256, chainBegunAt };
    },
    async ancestorsOf(id) {
      const rows = await db.artifactRef.findMany({
        where: { dependentId: id },
        include: { ancestor: { select: { id: true, backupId: true } } },
      });
      return rows.map(({ ancestor }) => ({ artifactId: ancestor.id, backupId: ancestor.backupId }));
    },
    async refer(id, ancestorIds) {
      await db.artifactRef.createMany({
        data: ancestorIds.map((ancestorId) => ({ dependentId: id, ancestorId })),
        skipDuplicates: true,
      });
    },
    async referOnly(id, ancestorIds) {
      await db.artifactRef.deleteMany({ where: { dependentId: id, ancestorId: { notIn: ancestorIds } } });
    },
    async releaseAll(backupId) {
      await db.artifactRef.deleteMany({ where: { dependent: { backupId } } });
    },
    countDependents: (backupId) =>
      db.artifactRef.count({
        where: { ancestor: { backupId }, dependent: { backupId: { not: backupId } } },
      }),
    past: (serviceIds, { full, but }) => db.$queryRaw<PastArtifact[]>`
      SELECT a.service_id AS "serviceId", (a.stored_bytes + coalesce(a.index_bytes, 0))::float8 AS "storedBytes",
        greatest(0, extract(epoch FROM a.completed_at - a.started_at))::float8 AS seconds,
        greatest(0, extract(epoch FROM a.backup_ended_at - (
          SELECT max(other.completed_at) FROM artifacts AS other WHERE other.backup_id = a.backup_id
        )))::float8 AS "closingSeconds"
      FROM unnest(${serviceIds}::uuid[]) AS wanted(id) CROSS JOIN LATERAL (
        SELECT artifacts.*, backups.completed_at AS backup_ended_at
        FROM artifacts JOIN backups ON backups.id = artifacts.backup_id
        WHERE artifacts.service_id = wanted.id AND artifacts.status = 'completed'
          AND (artifacts.parent_id IS NULL) = ${full} AND backups.completed_at IS NOT NULL
          AND backups.id <> ${but}::uuid
        ORDER BY artifacts.completed_at DESC LIMIT ${PAST}
      ) AS a`,
    async complete(id, done) {
      await db.artifact.update({
        where: { id },
        data: {
          ...done,
          ...(done.parentId === null ? { chainBegunAt: done.startedAt } : {}),
          status: 'completed',
          errorCode: null,
          errorMessage: null,
        },
        select: { id: true },
      });
    },
    async fail(id, failure, completedAt) {
      await db.artifact.update({
        where: { id },
        data: {
          status: failure.code === 'CANCELLED' ? 'cancelled' : 'failed',
          errorCode: failure.code,
          errorMessage: failure.message,
          completedAt,
        },
        select: { id: true },
      });
    },
  };
}

export function toArtifact(row: Artifact): ArtifactRecord {
  const number = (value: bigint | null): number | null => (value === null ? null : Number(value));
  return {
    id: row.id,
    serverId: row.serverId,
    serverName: row.serverName,
    serviceId: row.serviceId,
    serviceName: row.serviceName,
    component: row.component,
    paths: row.paths,
    exclude: row.exclude,
    parentId: row.parentId,
    backupMethod: row.backupMethod,
    tablesCount: number(row.tablesCount),
    recordsCount: number(row.recordsCount),
    status: row.status as ArtifactStatus,
    key: row.key,
    sha256: row.sha256,
    storedBytes: number(row.storedBytes),
    indexKey: row.indexKey,
    indexBytes: number(row.indexBytes),
    contentBytes: number(row.contentBytes),
    files: number(row.files),
    directories: number(row.directories),
    warnings: row.warnings,
    errorCode: row.errorCode as ErrorCode | null,
    errorMessage: row.errorMessage,
    startedAt: row.startedAt,
    completedAt: row.completedAt,
  };
}
