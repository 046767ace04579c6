import { toNumber } from './backups.ts';
import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export interface StatisticsFilter {
  /** Null: every project's. */
  projectIds: number[] | null;
  from: Date;
  /** Exclusive. */
  to: Date;
}

/** What was made in a time, by how it ended, whatever has become of it since. Bytes, and seconds of run time. */
export interface TypeStatistics {
  type: string;
  completed: number;
  partial: number;
  failed: number;
  cancelled: number;
  inProgress: number;
  /** Stored, of all that ended with something. */
  bytes: number;
  completedBytes: number;
  completedSeconds: number;
}

export interface StorageStatistics {
  name: string;
  /** As its owner says; null where nobody did. */
  capacityBytes: number | null;
  /** What lies there, hidden backups and complete copies included. */
  backups: number;
  bytes: number;
}

/** Figures over many backups, each from one statement that an index serves: `pnpm bench statistics` shows the plans. */
export interface Statistics {
  /** Of the backups made in that time. */
  byType(filter: StatisticsFilter): Promise<TypeStatistics[]>;
  /** Of the backups whose retention ended in that time: how many, and how many of them are deleted. */
  retention(filter: StatisticsFilter): Promise<{ expired: number; deleted: number }>;
  /** Of every destination, by name, whatever the time. */
  storage(projectIds: number[] | null): Promise<StorageStatistics[]>;
}

export function createStatistics(db: Db): Statistics {
  return {
    async byType(filter) {
      const rows = await db.$queryRaw<Numbers<TypeStatistics, 'type'>[]>(statisticsQueries(filter).byType);
      return rows.map(({ type, ...counts }) => ({ type, ...toNumbers(counts) }));
    },
    async retention(filter) {
      const [row] = await db.$queryRaw<Numbers<{ expired: number; deleted: number }, never>[]>(
        statisticsQueries(filter).retention,
      );
      return row ? toNumbers(row) : { expired: 0, deleted: 0 };
    },
    async storage(projectIds) {
      const rows = await db.$queryRaw<
        { name: string; capacityBytes: bigint | null; backups: bigint; bytes: bigint }[]
      >(storageQuery(projectIds));
      return rows.map(({ name, capacityBytes, ...counts }) => ({
        ...{ name, capacityBytes: toNumber(capacityBytes), ...toNumbers(counts) },
      }));
    },
  };
}

/** The statements themselves, for whoever wants to see how the database carries them out. */
export function statisticsQueries({ projectIds, from, to }: StatisticsFilter) {
  return {
    byType: Prisma.sql`
      SELECT type,
        count(*) FILTER (WHERE outcome = 'completed') AS completed,
        count(*) FILTER (WHERE outcome = 'partial') AS partial,
        count(*) FILTER (WHERE outcome = 'failed') AS failed,
        count(*) FILTER (WHERE outcome = 'cancelled') AS cancelled,
        count(*) FILTER (WHERE outcome IS NULL) AS "inProgress",
        coalesce(sum(size_bytes), 0)::bigint AS bytes,
        coalesce(sum(size_bytes) FILTER (WHERE outcome = 'completed'), 0)::bigint AS "completedBytes",
        -- A worker tells the end, and its clock may be behind.
        coalesce(extract(epoch FROM sum(greatest(interval '0', completed_at - started_at))
          FILTER (WHERE outcome = 'completed')), 0)::bigint AS "completedSeconds"
      FROM backups
      WHERE created_at >= ${from} AND created_at < ${to} AND ${ofProjects(projectIds)}
      GROUP BY type ORDER BY type`,
    retention: Prisma.sql`
      SELECT count(*) AS expired, count(*) FILTER (WHERE status IN ('deleted', 'hidden')) AS deleted
      FROM backups
      WHERE retention_until >= ${from} AND retention_until < ${to} AND ${ofProjects(projectIds)}`,
    storage: storageQuery(projectIds),
  };
}

function storageQuery(projectIds: number[] | null): Prisma.Sql {
  return Prisma.sql`
    SELECT d.name, d.capacity_bytes AS "capacityBytes",
      coalesce(stored.backups, 0)::bigint AS backups, coalesce(stored.bytes, 0)::bigint AS bytes
    FROM destinations AS d LEFT JOIN (
      SELECT destination_id, count(*) AS backups, sum(bytes) AS bytes FROM (
        SELECT destination_id, size_bytes AS bytes FROM backups
        WHERE status IN ('completed', 'partial', 'hidden', 'deleting') AND ${ofProjects(projectIds)}
        UNION ALL
        SELECT c.destination_id, c.bytes FROM backup_copies AS c JOIN backups ON backups.id = c.backup_id
        WHERE c.status = 'completed' AND ${ofProjects(projectIds)}
      ) AS held GROUP BY destination_id
    ) AS stored ON stored.destination_id = d.id
    ORDER BY d.name`;
}

type Numbers<T, Kept extends keyof T> = { [K in keyof T]: K extends Kept ? T[K] : bigint };

function toNumbers<T extends Record<string, bigint>>(row: T): { [K in keyof T]: number } {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])) as {
    [K in keyof T]: number;
  };
}

function ofProjects(ids: number[] | null): Prisma.Sql {
  return ids === null ? Prisma.sql`true` : Prisma.sql`project_id = ANY(${ids}::int[])`;
}
