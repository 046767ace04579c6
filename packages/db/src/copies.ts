import type { ErrorCode, Failure } from '@tarfleet/contracts';
import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export type CopyStatus = 'pending' | 'copying' | 'completed' | 'failed';

/** A further destination of a backup. Sizes in bytes. */
export interface CopyRecord {
  destinationId: string;
  destination: { id: string; name: string; type: string; config: unknown };
  status: CopyStatus;
  /** The last job that made it. */
  jobId: string | null;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  /** What it held when it was last complete. */
  objects: number | null;
  bytes: number | null;
  /** When all of it was last found right. */
  verifiedAt: Date | null;
  createdAt: Date;
  /** Null: nothing of it can be there. */
  begunAt: Date | null;
  endedAt: Date | null;
}

export interface CopyRef {
  backupId: string;
  destinationId: string;
}

/** What a copy is taken to be: being made by a job, or in a state. */
export type CopyState = { jobId: string } | 'pending' | 'completed';

/** A copy that is wanted; with a failure it has failed before it was begun. */
export interface CopyDraft {
  destinationId: string;
  failure: Failure | null;
}

export interface Copies {
  /** With the backup, in its transaction. */
  create(backupId: string, drafts: readonly CopyDraft[]): Promise<void>;
  /** One more, or a failed one again. False when it is there, or on its way. The caller has locked the backup. */
  want(ref: CopyRef): Promise<boolean>;
  /**
   * Wants what a backup builds on to be wherever a copy of it is still to be made, too: what is missing there, and what
   * failed. Gives the backups that are concerned.
   */
  wantAncestors(backupId: string): Promise<string[]>;
  /** Those that can be made now: what they build on is there already. The oldest first. */
  due(limit: number): Promise<CopyRef[]>;
  /** True when a pending one has been given to this job. The caller has locked the backup. */
  begin(ref: CopyRef, jobId: string): Promise<boolean>;
  /** Of the job that makes it; one that somebody else makes by now stays as it is. */
  complete(ref: CopyRef, jobId: string, done: { objects: number; bytes: number; at: Date }): Promise<void>;
  /**
   * With it fail those that wait for it. Gives the backups that are concerned, this one first; none where the copy is no
   * more what it was to whoever found the fault.
   */
  fail(ref: CopyRef, was: CopyState, failure: Failure, at: Date): Promise<string[]>;
  verified(ref: CopyRef, at: Date): Promise<void>;
  /** Whether the copy, and of what it builds on those at the same destination, are complete. */
  isUsable(ref: CopyRef): Promise<boolean>;
  /**
   * What backups that ended with content are by their copies: `partial` while one has failed, else how they ended. Those
   * that are deleted meanwhile stay as they are.
   */
  showIn(backupIds: readonly string[]): Promise<void>;
  /** Forgets those of a backup: nothing of them is there (any more). */
  removeAll(backupId: string): Promise<void>;
}

/** What backups build on, directly or not: pairs of a backup and one that it needs. */
const needs = (start: Prisma.Sql, from: 'own' | 'needed'): Prisma.Sql => {
  const [known, next] = from === 'own' ? ['dependent', 'ancestor'] : ['ancestor', 'dependent'];
  const step = (of: Prisma.Sql) => Prisma.sql`
    SELECT b.backup_id AS id ${of}
    JOIN artifact_refs AS r ON r.${Prisma.raw(`${known}_id`)} = a.id
    JOIN artifacts AS b ON b.id = r.${Prisma.raw(`${next}_id`)}`;
  return Prisma.sql`
    WITH RECURSIVE chain AS (
      ${step(Prisma.sql`FROM artifacts AS a`)} WHERE a.backup_id = ${start}
      UNION ${step(Prisma.sql`FROM chain JOIN artifacts AS a ON a.backup_id = chain.id`)}
    )`;
};

export function createCopies(db: Db): Copies {
  const at = ({ backupId, destinationId }: CopyRef) => ({ backupId, destinationId });
  return {
    async create(backupId, drafts) {
      await db.backupCopy.createMany({
        data: drafts.map(({ destinationId, failure }) => ({
          ...{ backupId, destinationId },
          ...(failure
            ? {
                ...{ status: 'failed', endedAt: new Date() },
                ...{ errorCode: failure.code, errorMessage: failure.message },
              }
            : {}),
        })),
      });
    },
    async want({ backupId, destinationId }) {
      const wanted = await db.$executeRaw`
        INSERT INTO backup_copies AS c (backup_id, destination_id) VALUES (${backupId}::uuid, ${destinationId}::uuid)
        ON CONFLICT (backup_id, destination_id) DO UPDATE
        SET status = 'pending', job_id = NULL, error_code = NULL, error_message = NULL WHERE c.status = 'failed'`;
      return wanted > 0;
    },
    async wantAncestors(backupId) {
      const rows = await db.$queryRaw<{ id: string }[]>`
        ${needs(Prisma.sql`${backupId}::uuid`, 'own')}
        INSERT INTO backup_copies AS c (backup_id, destination_id)
        SELECT b.id, wanted.destination_id FROM chain JOIN backups AS b ON b.id = chain.id
        JOIN backup_copies AS wanted ON wanted.backup_id = ${backupId}::uuid AND wanted.status = 'pending'
          AND wanted.destination_id <> b.destination_id
        WHERE b.id <> ${backupId}::uuid AND b.status IN ('completed', 'partial', 'hidden')
        ORDER BY b.id, wanted.destination_id
        ON CONFLICT (backup_id, destination_id) DO UPDATE
        SET status = 'pending', job_id = NULL, error_code = NULL, error_message = NULL WHERE c.status = 'failed'
        RETURNING backup_id AS id`;
      return [...new Set(rows.map(({ id }) => id))];
    },
    due: (limit) => db.$queryRaw<CopyRef[]>`
      SELECT c.backup_id AS "backupId", c.destination_id AS "destinationId"
      FROM backup_copies AS c JOIN backups AS b ON b.id = c.backup_id
      WHERE c.status = 'pending' AND b.status IN ('completed', 'partial', 'hidden')
        AND NOT EXISTS (
          SELECT FROM artifacts AS own JOIN artifact_refs AS r ON r.dependent_id = own.id
          JOIN artifacts AS a ON a.id = r.ancestor_id JOIN backups AS needed ON needed.id = a.backup_id
          WHERE own.backup_id = c.backup_id AND needed.id <> c.backup_id
            AND needed.destination_id <> c.destination_id AND NOT EXISTS (
              SELECT FROM backup_copies AS there WHERE there.backup_id = needed.id
                AND there.destination_id = c.destination_id AND there.status = 'completed'
            )
        )
      ORDER BY c.created_at, c.backup_id, c.destination_id LIMIT ${limit}`,
    async begin(ref, jobId) {
      const { count } = await db.backupCopy.updateMany({
        where: { ...at(ref), status: 'pending' },
        data: { status: 'copying', jobId, begunAt: new Date(), endedAt: null },
      });
      return count > 0;
    },
    async complete(ref, jobId, { objects, bytes, at: endedAt }) {
      await db.backupCopy.updateMany({
        where: { ...at(ref), status: 'copying', jobId },
        data: {
          ...{ status: 'completed', objects, bytes, endedAt, verifiedAt: null },
          ...{ errorCode: null, errorMessage: null },
        },
      });
    },
    async fail(ref, was, { code, message }, endedAt) {
      const { backupId, destinationId } = ref;
      const state = typeof was === 'string' ? { status: was } : { status: 'copying', jobId: was.jobId };
      const { count } = await db.backupCopy.updateMany({
        where: { ...at(ref), ...state },
        data: { status: 'failed', errorCode: code, errorMessage: message, endedAt, verifiedAt: null },
      });
      if (count === 0) return [];
      const why = `It builds on the backup ${backupId}, whose copy failed: ${message}`;
      const rows = await db.$queryRaw<{ id: string }[]>`
        ${needs(Prisma.sql`${backupId}::uuid`, 'needed')}
        UPDATE backup_copies AS c SET status = 'failed', error_code = ${code}, error_message = ${why},
          ended_at = ${endedAt}
        FROM chain JOIN backups AS b ON b.id = chain.id
        WHERE c.backup_id = chain.id AND c.destination_id = ${destinationId}::uuid
          AND c.status = 'pending' AND c.backup_id <> ${backupId}::uuid
          -- One that is still being made wants what it builds on to be there once more when it has ended.
          AND b.status <> 'in_progress'
        RETURNING c.backup_id AS id`;
      return [backupId, ...rows.map(({ id }) => id).sort()];
    },
    async verified(ref, verifiedAt) {
      await db.backupCopy.updateMany({ where: { ...at(ref), status: 'completed' }, data: { verifiedAt } });
    },
    async isUsable({ backupId, destinationId }) {
      const [row] = await db.$queryRaw<{ usable: boolean }[]>`
        ${needs(Prisma.sql`${backupId}::uuid`, 'own')}
        SELECT NOT EXISTS (
          SELECT FROM (SELECT id FROM chain UNION SELECT ${backupId}::uuid) AS needed
          WHERE NOT EXISTS (
            SELECT FROM backup_copies AS c WHERE c.backup_id = needed.id
              AND c.destination_id = ${destinationId}::uuid AND c.status = 'completed'
          )
        ) AS usable`;
      return row?.usable ?? false;
    },
    async showIn(backupIds) {
      const ids = Prisma.sql`ANY(${[...backupIds]}::uuid[])`;
      // A statement of its own: the next one must see what those have committed for whom this one waits.
      await db.$queryRaw`SELECT 1 AS held FROM backups WHERE id = ${ids} ORDER BY id FOR NO KEY UPDATE`;
      await db.$executeRaw`
        UPDATE backups AS b SET status = CASE WHEN EXISTS (
          SELECT FROM backup_copies AS c WHERE c.backup_id = b.id AND c.status = 'failed'
        ) THEN 'partial' ELSE b.outcome END
        WHERE b.id = ${ids} AND b.status IN ('completed', 'partial') AND b.outcome IN ('completed', 'partial')`;
    },
    async removeAll(backupId) {
      await db.backupCopy.deleteMany({ where: { backupId } });
    },
  };
}

const shown = {
  destination: { select: { id: true, name: true, type: true, config: true } },
} satisfies Prisma.BackupCopyInclude;

/** A backup's, by the names of their destinations. */
export const copiesOfBackup = { include: shown, orderBy: { destination: { name: 'asc' } } } as const;

export function toCopy(row: Prisma.BackupCopyGetPayload<{ include: typeof shown }>): CopyRecord {
  const { backupId: _backup, objects, bytes, ...rest } = row;
  return {
    ...rest,
    status: row.status as CopyStatus,
    errorCode: row.errorCode as ErrorCode | null,
    objects: objects === null ? null : Number(objects),
    bytes: bytes === null ? null : Number(bytes),
  };
}
