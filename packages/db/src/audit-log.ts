import { v7 } from 'uuid';
import {
  type AuditEntry,
  type AuditOutcome,
  type AuditRow,
  toAuditEntry,
  toAuditJson,
} from './audit-entry.ts';
import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export interface AuditFilter {
  /** Null for all rows; otherwise this user's own, and those of these projects. */
  seenBy: { userId: string; projectIds: readonly number[] } | null;
  userId?: string;
  /** What the action begins with. ASCII. */
  action?: string;
  projectId?: number;
  targetType?: string;
  targetId?: string;
  outcome?: AuditOutcome;
  requestId?: string;
  /** Both inclusive, to the millisecond. */
  from?: Date;
  to?: Date;
  /** Only rows older than this one. */
  before?: string;
  limit: number;
}

/** What users did. Rows are added, never changed or removed: the database refuses it. */
export interface AuditLog {
  /** Notes that an action begins. From its commit on it becomes a row: by `end`, or as `unknown` by `settle`. */
  begin(entry: AuditEntry): Promise<void>;
  /** Makes what has begun a row. Once: false when it is one already. */
  end(entry: AuditEntry): Promise<boolean>;
  /** A row of what never began, such as a refusal. */
  add(entry: AuditEntry): Promise<void>;
  /** Makes rows, with the outcome `unknown`, of at most 500 actions that began before this and never ended. Returns how many. */
  settle(before: Date): Promise<number>;
  /** Newest first. */
  list(filter: AuditFilter): Promise<AuditEntry[]>;
}

/** An id of this time, so that the order of ids is that of time to the millisecond. */
export function createAuditId(at: Date): string {
  return v7({ msecs: at.getTime() });
}

export function createAuditLog(db: Db): AuditLog {
  return {
    async begin(entry) {
      const unknown = toAuditJson({ ...entry, outcome: 'unknown', status: null, errorCode: null });
      await db.$executeRaw`
        INSERT INTO audit_pending (id, started_at, entry) VALUES (${entry.id}::uuid, ${entry.at}, ${unknown}::jsonb)`;
    },
    async end(entry) {
      // One statement: of two that end the same action one finds it, and no row comes without the other's going.
      const rows = await db.$executeRaw`
        WITH gone AS (DELETE FROM audit_pending WHERE id = ${entry.id}::uuid RETURNING id)
        INSERT INTO audit_log
        SELECT made.* FROM gone, jsonb_populate_record(NULL::audit_log, ${toAuditJson(entry)}::jsonb) AS made`;
      return rows > 0;
    },
    async add(entry) {
      await db.$executeRaw`
        INSERT INTO audit_log
        SELECT made.* FROM jsonb_populate_record(NULL::audit_log, ${toAuditJson(entry)}::jsonb) AS made`;
    },
    settle: (before) => db.$executeRaw`
      WITH gone AS (
        DELETE FROM audit_pending WHERE id IN (
          SELECT id FROM audit_pending WHERE started_at < ${before} ORDER BY id LIMIT 500 FOR UPDATE SKIP LOCKED
        ) RETURNING entry
      )
      INSERT INTO audit_log
      SELECT made.* FROM gone CROSS JOIN LATERAL jsonb_populate_record(NULL::audit_log, gone.entry) AS made`,
    async list(filter) {
      const rows = await db.$queryRaw<AuditRow[]>(listQuery(filter));
      return rows.map(toAuditEntry);
    },
  };
}

/**
 * Each part is read in the order of an index and ends at the limit, so that a long log costs no more than a short
 * one: the user's own rows, and those of each project. In one condition with OR they would all be read and sorted.
 */
function listQuery({ seenBy, limit, ...filter }: AuditFilter): Prisma.Sql {
  const conditions = conditionsOf(filter);
  if (!seenBy) return newest(conditions, limit);
  const { userId, projectIds } = seenBy;
  const own = newest([...conditions, Prisma.sql`user_id = ${userId}::uuid`], limit);
  const others = [
    ...conditions,
    Prisma.sql`project_id = p.id`,
    Prisma.sql`user_id IS DISTINCT FROM ${userId}::uuid`,
  ];
  return Prisma.sql`
    SELECT * FROM (
      (${own}) UNION ALL
      (SELECT l.* FROM unnest(${[...projectIds]}::int[]) AS p(id) CROSS JOIN LATERAL (${newest(others, limit)}) AS l)
    ) AS seen ORDER BY id DESC LIMIT ${limit}`;
}

function newest(conditions: Prisma.Sql[], limit: number): Prisma.Sql {
  const where =
    conditions.length === 0 ? Prisma.empty : Prisma.sql`WHERE ${Prisma.join(conditions, ' AND ')}`;
  return Prisma.sql`SELECT * FROM audit_log ${where} ORDER BY audit_log.id DESC LIMIT ${limit}`;
}

function conditionsOf(filter: Omit<AuditFilter, 'seenBy' | 'limit'>): Prisma.Sql[] {
  const { userId, action, projectId, targetType, targetId, outcome, requestId, from, to, before } = filter;
  const all: Prisma.Sql[] = [];
  if (userId !== undefined) all.push(Prisma.sql`user_id = ${userId}::uuid`);
  // A range: with LIKE a prepared statement may not use the index.
  if (action !== undefined) all.push(Prisma.sql`action >= ${action} AND action < ${`${action}\u007f`}`);
  if (projectId !== undefined) all.push(Prisma.sql`project_id = ${projectId}`);
  if (targetType !== undefined) all.push(Prisma.sql`target_type = ${targetType}`);
  if (targetId !== undefined) all.push(Prisma.sql`target_id = ${targetId}`);
  if (outcome !== undefined) all.push(Prisma.sql`outcome = ${outcome}`);
  if (requestId !== undefined) all.push(Prisma.sql`request_id = ${requestId}`);
  if (from) all.push(Prisma.sql`audit_log.id >= ${firstIdAt(from.getTime())}::uuid`);
  if (to) all.push(Prisma.sql`audit_log.id < ${firstIdAt(to.getTime() + 1)}::uuid`);
  if (before !== undefined) all.push(Prisma.sql`audit_log.id < ${before}::uuid`);
  return all;
}

/** No id of this millisecond, or of a later one, is smaller (RFC 9562, version 7: 48 bits of time come first). */
function firstIdAt(ms: number): string {
  const hex = Math.max(0, ms).toString(16).padStart(12, '0');
  return `${hex.slice(0, 8)}-${hex.slice(8)}-0000-0000-000000000000`;
}
