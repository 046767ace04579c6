import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

/** Counts by status, of what is neither hidden nor deleted. Bytes; times are null where there is nothing. */
export interface BackupSummary {
  total: number;
  completed: number;
  partial: number;
  failed: number;
  cancelled: number;
  running: number;
  totalSize: number;
  oldest: Date | null;
  newest: Date | null;
}

type Row = Record<Exclude<keyof BackupSummary, 'oldest' | 'newest'>, bigint> &
  Pick<BackupSummary, 'oldest' | 'newest'>;

/** @internal one statement, which `backups_summary_idx` alone serves. */
export async function summarise(db: Db, projectIds: number[] | null): Promise<BackupSummary> {
  const [row] = await db.$queryRaw<Row[]>(summaryQuery(projectIds));
  if (!row) throw new TypeError('an aggregate without groups gives one row');
  const { oldest, newest, ...counts } = row;
  return { ...toNumbers(counts), oldest, newest };
}

function summaryQuery(projectIds: number[] | null): Prisma.Sql {
  const mine = projectIds === null ? Prisma.sql`true` : Prisma.sql`project_id = ANY(${projectIds}::int[])`;
  return Prisma.sql`
    SELECT count(*) AS total,
      count(*) FILTER (WHERE status = 'completed') AS completed,
      count(*) FILTER (WHERE status = 'partial') AS partial,
      count(*) FILTER (WHERE status = 'failed') AS failed,
      count(*) FILTER (WHERE status = 'cancelled') AS cancelled,
      count(*) FILTER (WHERE status = 'in_progress') AS running,
      coalesce(sum(size_bytes), 0)::bigint AS "totalSize",
      min(created_at) AS oldest, max(created_at) AS newest
    FROM backups WHERE status NOT IN ('hidden', 'deleted') AND ${mine}`;
}

function toNumbers<T extends Record<string, bigint>>(row: T): { [K in keyof T]: number } {
  return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, Number(value)])) as {
    [K in keyof T]: number;
  };
}
