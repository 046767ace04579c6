import { type ErrorCode, type Notification, PROJECT_RECORDS, type RecordsSummary } from '@tarfleet/contracts';
import { type ArtifactDraft, toArtifact } from './artifacts.ts';
import type {
  BackupOccasion,
  BackupOutcome,
  BackupRecord,
  BackupStatus,
  FullBackup,
} from './backup-record.ts';
import { type BackupSummary, summarise } from './backup-summary.ts';
import { copiesOfBackup, toCopy } from './copies.ts';
import type { Backup, Prisma } from './generated/client.ts';
import { toJsonOrNull } from './json.ts';
import type { Db } from './prisma-client.ts';
import { seriesOf } from './series.ts';

export type {
  BackupOccasion,
  BackupOutcome,
  BackupRecord,
  BackupStatus,
  FullBackup,
} from './backup-record.ts';
export type { BackupSummary } from './backup-summary.ts';

export type BackupDraft = Pick<
  BackupRecord,
  | 'id'
  | 'projectId'
  | 'createdBy'
  | 'scheduleId'
  | 'name'
  | 'description'
  | 'type'
  | 'dialect'
  | 'keyPrefix'
  | 'compressed'
  | 'compressionLevel'
  | 'deduplicated'
  | 'verifyRequested'
  | 'encrypted'
  | 'encryptionKeys'
  | 'retentionDays'
  | 'warnings'
  | 'createdAt'
> & {
  destinationId: string;
  /** Of its services, and perhaps of the project's own records. */
  artifacts: ArtifactDraft[];
  records?: RecordsSummary | null;
  chosen?: boolean;
  occasion?: BackupOccasion | null;
  notification?: Notification | null;
  automatic?: boolean;
};

export type BackupChange = Partial<
  Omit<BackupRecord, 'id' | 'projectId' | 'destinationId' | 'notification' | 'records'>
> & {
  sweepAfter?: Date | null;
  sweptAt?: Date | null;
};

export interface BackupFilter {
  /** Null: every project's. */
  projectIds: number[] | null;
  type?: string;
  chosen?: boolean;
  statuses?: BackupStatus[];
  destinationId?: string;
  from?: Date;
  to?: Date;
  /** Only what comes after this backup in the list; without it, all. */
  after?: Pick<BackupRecord, 'id' | 'createdAt'>;
  page: number;
  perPage: number;
}

export interface Backups {
  /** With its artifacts, in status `in_progress`. */
  create(draft: BackupDraft): Promise<void>;
  /** Deleted ones are found too; the caller decides. */
  get(id: string): Promise<FullBackup | null>;
  /** As `get`, the row alone. */
  find(id: string): Promise<BackupRecord | null>;
  /** As `get`, locked until the transaction ends: so that nobody deletes what somebody is about to restore. */
  lock(id: string): Promise<FullBackup | null>;
  /** Newest first. */
  list(filter: BackupFilter): Promise<{ rows: FullBackup[]; total: number }>;
  /** Of all that `list` would list of these projects; null: of every project. */
  summary(projectIds: number[] | null): Promise<BackupSummary>;
  change(id: string, change: BackupChange): Promise<void>;
  countRestore(id: string, at: Date): Promise<void>;
  /** Hidden ones that no other backup needs any more, and that nobody downloads. */
  hiddenAndFree(limit: number): Promise<FullBackup[]>;
  /** Ended backups whose left-overs are due to be removed. */
  dueForSweep(now: Date, limit: number): Promise<FullBackup[]>;
}

const full = {
  artifacts: { orderBy: { serviceName: 'asc' } },
  copies: copiesOfBackup,
  creator: { select: { email: true } },
  destination: { select: { id: true, name: true, type: true, config: true } },
} satisfies Prisma.BackupInclude;
type FullRow = Prisma.BackupGetPayload<{ include: typeof full }>;

export function createBackups(db: Db): Backups {
  const get = async (id: string): Promise<FullBackup | null> => {
    const row = await db.backup.findUnique({ where: { id }, include: full });
    return row && toFull(row);
  };
  return {
    async create({ artifacts, notification, records, ...draft }) {
      await db.backup.create({
        data: {
          ...draft,
          ...{ status: 'in_progress', startedAt: draft.createdAt },
          notification: toJsonOrNull(notification),
          records: toJsonOrNull(records),
          series: seriesOf(artifacts.filter((one) => !isRecords(one)).map(({ serviceId }) => serviceId)),
        },
        select: { id: true },
      });
      await db.artifact.createMany({
        data: artifacts.map((one) => ({ ...one, backupId: draft.id, status: 'in_progress' })),
      });
    },
    get,
    async find(id) {
      const row = await db.backup.findUnique({ where: { id } });
      return row && toRecord(row);
    },
    async lock(id) {
      await db.$queryRaw`SELECT id FROM backups WHERE id = ${id}::uuid FOR UPDATE`;
      return get(id);
    },
    async list(filter) {
      const where: Prisma.BackupWhereInput = {
        ...(filter.projectIds === null ? {} : { projectId: { in: filter.projectIds } }),
        ...(filter.type === undefined ? {} : { type: filter.type }),
        ...(filter.destinationId === undefined ? {} : { destinationId: filter.destinationId }),
        ...(filter.chosen === undefined ? {} : { chosen: filter.chosen }),
        status: filter.statuses ? { in: filter.statuses } : { notIn: ['hidden', 'deleted'] },
        ...(filter.from || filter.to
          ? {
              createdAt: {
                ...(filter.from ? { gte: filter.from } : {}),
                ...(filter.to ? { lte: filter.to } : {}),
              },
            }
          : {}),
      };
      const { after } = filter;
      const later: Prisma.BackupWhereInput = after
        ? {
            OR: [
              { createdAt: { lt: after.createdAt } },
              { createdAt: after.createdAt, id: { lt: after.id } },
            ],
          }
        : {};
      const [rows, total] = await Promise.all([
        db.backup.findMany({
          where: { AND: [where, later] },
          include: full,
          orderBy: [{ createdAt: 'desc' }, { id: 'desc' }],
          skip: (filter.page - 1) * filter.perPage,
          take: filter.perPage,
        }),
        db.backup.count({ where }),
      ]);
      return { rows: rows.map(toFull), total };
    },
    summary: (projectIds) => summarise(db, projectIds),
    async change(id, change) {
      await db.backup.update({ where: { id }, data: change, select: { id: true } });
    },
    async countRestore(id, at) {
      await db.backup.update({
        where: { id },
        data: { restoreCount: { increment: 1 }, lastRestoredAt: at },
        select: { id: true },
      });
    },
    async hiddenAndFree(take) {
      const rows = await db.backup.findMany({
        where: { status: 'hidden', artifacts: { none: { dependents: { some: {} } } }, holds: { none: {} } },
        include: full,
        orderBy: { deletedAt: 'asc' },
        take,
      });
      return rows.map(toFull);
    },
    async dueForSweep(now, take) {
      const rows = await db.backup.findMany({
        where: { sweepAfter: { lte: now }, sweptAt: null },
        include: full,
        orderBy: { sweepAfter: 'asc' },
        take,
      });
      return rows.map(toFull);
    },
  };
}

function toFull({ artifacts, copies, creator, destination, ...row }: FullRow): FullBackup {
  return {
    ...toRecord(row),
    artifacts: artifacts.filter((one) => !isRecords(one)).map(toArtifact),
    recordsArtifact: artifacts.filter(isRecords).map(toArtifact)[0] ?? null,
    copies: copies.map(toCopy),
    creator: creator?.email ?? null,
    destination,
  };
}

function toRecord(row: Backup): BackupRecord {
  const { sweepAfter: _sweepAfter, sweptAt: _sweptAt, tags: _tags, ...rest } = row;
  return {
    ...rest,
    status: row.status as BackupStatus,
    occasion: row.occasion as BackupOccasion | null,
    outcome: row.outcome as BackupOutcome | null,
    errorCode: row.errorCode as ErrorCode | null,
    warnings: row.warnings as string[],
    notification: row.notification as Notification | null,
    records: row.records as RecordsSummary | null,
    sizeBytes: toNumber(row.sizeBytes),
    contentBytes: toNumber(row.contentBytes),
    filesCount: toNumber(row.filesCount),
    directoriesCount: toNumber(row.directoriesCount),
  };
}

function isRecords({ serviceId }: { serviceId: string }): boolean {
  return serviceId === PROJECT_RECORDS.serviceId;
}

/** Exact up to 9 PB. */
export function toNumber(value: bigint | null): number | null {
  return value === null ? null : Number(value);
}
