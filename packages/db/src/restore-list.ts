import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export const RESTORE_LIST_STATES = ['running', 'completed', 'failed', 'rolled_back', 'validated'] as const;
export type RestoreListState = (typeof RESTORE_LIST_STATES)[number];

/** A restore, or a verification that was asked for as a restore which only validates. */
export interface ListedRestore {
  /** Its job's. */
  id: string;
  backupId: string;
  backupName: string | null;
  backupCreatedAt: Date;
  validateOnly: boolean;
  state: RestoreListState;
  /** Whether its backup was found sound: by its own look, or when the backup was last verified. */
  validated: boolean;
  components: string[];
  error: string | null;
  createdAt: Date;
  startedAt: Date | null;
  completedAt: Date | null;
}

export interface RestoreSummary {
  total: number;
  completed: number;
  failed: number;
  running: number;
  rolledBack: number;
  validated: number;
}

export interface RestoreListFilter {
  /** Null: every project's. */
  projectIds: number[] | null;
  state?: RestoreListState;
  page: number;
  perPage: number;
}

/** Document 4's restores. */
export interface RestoreList {
  /** Makes a verification, stored in the same transaction, one of the list. */
  addValidation(jobId: string, components: string[]): Promise<void>;
  /** Newest first. */
  list(filter: RestoreListFilter): Promise<{ rows: ListedRestore[]; total: number }>;
  get(id: string): Promise<ListedRestore | null>;
  summary(projectIds: number[] | null): Promise<RestoreSummary>;
}

/** What is told of each, but for its components: those are looked up for the few that are shown. */
const ALL = Prisma.sql`
  SELECT r.id, r.backup_id AS "backupId", b.name AS "backupName", b.created_at AS "backupCreatedAt",
    b.project_id AS "projectId", false AS "validateOnly",
    CASE WHEN r.status IN ('completed', 'failed', 'rolled_back') THEN r.status::text ELSE 'running' END AS state,
    b.verified IS TRUE OR EXISTS (
      SELECT FROM restore_audit_logs AS l WHERE l.restore_job_id = r.id
        AND l.step_name = 'verify_integrity' AND l.status = 'completed'
    ) AS validated,
    r.error_message AS error, r.created_at AS "createdAt", r.started_at AS "startedAt",
    r.completed_at AS "completedAt", r.metadata->'service_ids' AS services, NULL::text[] AS named
  FROM restore_jobs AS r JOIN backups AS b ON b.id = r.backup_id
  UNION ALL
  SELECT j.id, j.backup_id, b.name, b.created_at, b.project_id, true,
    CASE WHEN j.ended_at IS NULL THEN 'running'
      WHEN j.result->'valid' = 'true'::jsonb THEN 'validated' ELSE 'failed' END,
    j.ended_at IS NOT NULL AND coalesce(j.result->'valid' = 'true'::jsonb, false),
    coalesce(j.error_message, j.result->'issues'->>0), v.created_at, j.started_at, j.ended_at, NULL, v.components
  FROM restore_validations AS v JOIN jobs AS j ON j.id = v.job_id JOIN backups AS b ON b.id = j.backup_id`;

const SHOWN = Prisma.sql`
  one.id, one."backupId", one."backupName", one."backupCreatedAt", one."validateOnly", one.state, one.validated,
  one.error, one."createdAt", one."startedAt", one."completedAt",
  coalesce(one.named, array(
    SELECT DISTINCT a.component FROM artifacts AS a
    WHERE a.backup_id = one."backupId" AND one.services ? a.service_id::text ORDER BY 1
  )) AS components`;

export function createRestoreList(db: Db): RestoreList {
  return {
    async addValidation(jobId, components) {
      await db.restoreValidation.create({ data: { jobId, components }, select: { jobId: true } });
    },
    async list({ projectIds, state, page, perPage }) {
      const wanted = Prisma.sql`${ofProjects(projectIds)} AND ${
        state === undefined ? Prisma.sql`true` : Prisma.sql`state = ${state}`
      }`;
      const rows = await db.$queryRaw<ListedRestore[]>`
        SELECT ${SHOWN} FROM (
          SELECT * FROM (${ALL}) AS every WHERE ${wanted}
          ORDER BY "createdAt" DESC, id DESC LIMIT ${perPage} OFFSET ${(page - 1) * perPage}
        ) AS one ORDER BY one."createdAt" DESC, one.id DESC`;
      const [counted] = await db.$queryRaw<{ total: bigint }[]>`
        SELECT count(*) AS total FROM (${ALL}) AS every WHERE ${wanted}`;
      return { rows, total: Number(counted?.total ?? 0) };
    },
    async get(id) {
      const [row] = await db.$queryRaw<ListedRestore[]>`
        SELECT ${SHOWN} FROM (${ALL}) AS one WHERE one.id = ${id}::uuid`;
      return row ?? null;
    },
    async summary(projectIds) {
      const [row] = await db.$queryRaw<Record<keyof RestoreSummary, bigint>[]>`
        SELECT count(*) AS total, count(*) FILTER (WHERE state = 'completed') AS completed,
          count(*) FILTER (WHERE state = 'failed') AS failed,
          count(*) FILTER (WHERE state = 'running') AS running,
          count(*) FILTER (WHERE state = 'rolled_back') AS "rolledBack",
          count(*) FILTER (WHERE validated) AS validated
        FROM (${ALL}) AS every WHERE ${ofProjects(projectIds)}`;
      const count = (name: keyof RestoreSummary): number => Number(row?.[name] ?? 0);
      return {
        ...{ total: count('total'), completed: count('completed'), failed: count('failed') },
        ...{ running: count('running'), rolledBack: count('rolledBack'), validated: count('validated') },
      };
    },
  };
}

function ofProjects(ids: number[] | null): Prisma.Sql {
  return ids === null ? Prisma.sql`true` : Prisma.sql`"projectId" = ANY(${ids}::int[])`;
}
