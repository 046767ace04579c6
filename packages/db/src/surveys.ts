import type { FoundGroup } from '@tarfleet/contracts';
import { v7 } from 'uuid';
import { toNumber } from './backups.ts';
import type { UnknownObjects as Row, Survey as SurveyRow } from './generated/client.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';

/** Of one destination there are at most so many groups of unknown objects in the records. */
export const MOST_UNKNOWN = 5000;

export interface SurveyRecord {
  /** The last one, and whether it still runs. */
  jobId: string;
  state: string;
  startedAt: Date;
  /** Of the last one that came to its end, as are the figures below; null: none has. */
  completedAt: Date | null;
  objects: number | null;
  bytes: number | null;
  uploads: number | null;
  /** There was more that is unknown than is stored. */
  truncated: boolean;
}

export interface UnknownRecord {
  id: string;
  prefix: string;
  /** `no_backup`, `deleted_backup`, `foreign_name`. */
  reason: string;
  example: string;
  objects: number;
  bytes: number;
  uploads: number;
  oldestAt: Date | null;
  newestAt: Date | null;
  firstSeenAt: Date;
  lastSeenAt: Date;
}

export interface UnknownTotals {
  destinationId: string;
  groups: number;
  objects: number;
  bytes: number;
  uploads: number;
  completedAt: Date | null;
}

export interface SurveyAttempt {
  destinationId: string;
  jobId: string;
  attempt: number;
}

export interface Surveys {
  get(destinationId: string): Promise<SurveyRecord | null>;
  /** The pool of the newest backup that lies there or is copied there; null when there is none. */
  poolOf(destinationId: string): Promise<string | null>;
  /** Those that hold or held backups or hold copies, and have no survey that began after `before` or still runs, at most so many. */
  due(before: Date, limit: number): Promise<string[]>;
  /**
   * Has the job be the destination's survey. False when another one runs, or (`before` given) one began after that.
   * In a transaction, in which the job is stored afterwards.
   */
  begin(destinationId: string, jobId: string, before?: Date): Promise<boolean>;
  /**
   * Stores those of the groups that belong to no backup that is known, here or at another destination. What a backup
   * left that was deleted counts only when that is `graceMs` before the survey.
   */
  found(survey: SurveyAttempt, groups: FoundGroup[], graceMs: number): Promise<void>;
  /** What this survey did not see any more is forgotten. */
  complete(
    survey: SurveyAttempt,
    seen: { objects: number; bytes: number; uploads: number; at: Date },
  ): Promise<void>;
  /** Newest first: by when it was first seen. */
  unknown(destinationId: string, request: PageRequest): Promise<Page<UnknownRecord>>;
  /** Of every destination that was looked through. */
  totals(): Promise<UnknownTotals[]>;
}

export function createSurveys(db: Db): Surveys {
  return {
    async get(destinationId) {
      const row = await db.survey.findUnique({ where: { destinationId } });
      if (!row) return null;
      const job = await db.job.findUnique({ where: { id: row.jobId }, select: { state: true } });
      return toSurvey(row, job?.state ?? 'queued');
    },
    async poolOf(destinationId) {
      const [row] = await db.$queryRaw<{ pool: string }[]>`
        SELECT j.pool FROM backups AS b JOIN jobs AS j ON j.id = b.id
        WHERE b.destination_id = ${destinationId}::uuid OR b.id IN (
          SELECT backup_id FROM backup_copies WHERE destination_id = ${destinationId}::uuid
        ) ORDER BY b.id DESC LIMIT 1`;
      return row?.pool ?? null;
    },
    async due(before, limit) {
      const rows = await db.$queryRaw<{ id: string }[]>`
        SELECT d.id FROM destinations AS d LEFT JOIN surveys AS s ON s.destination_id = d.id
        WHERE (EXISTS (SELECT FROM backups AS b WHERE b.destination_id = d.id)
            OR EXISTS (SELECT FROM backup_copies AS c WHERE c.destination_id = d.id))
          AND (s.destination_id IS NULL OR (s.started_at < ${before}
            AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.id = s.job_id AND j.ended_at IS NULL)))
        ORDER BY s.started_at NULLS FIRST LIMIT ${limit}`;
      return rows.map(({ id }) => id);
    },
    async begin(destinationId, jobId, before) {
      // Two that begin at once are told apart by this lock; the next statement then sees what the first one did.
      await db.$queryRaw`SELECT 1 AS locked FROM destinations WHERE id = ${destinationId}::uuid FOR NO KEY UPDATE`;
      const begun = await db.$executeRaw`
        INSERT INTO surveys AS s (destination_id, job_id, started_at)
        VALUES (${destinationId}::uuid, ${jobId}::uuid, clock_timestamp())
        ON CONFLICT (destination_id) DO UPDATE SET job_id = excluded.job_id, started_at = excluded.started_at,
          truncated = false
        WHERE (${before ?? null}::timestamptz IS NULL OR s.started_at < ${before ?? null}::timestamptz)
          AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.id = s.job_id AND j.ended_at IS NULL)`;
      return begun > 0;
    },
    async found({ destinationId, jobId, attempt }, groups, graceMs) {
      const given = groups.map((group) => ({ ...group, id: v7() }));
      await db.$executeRaw`
        WITH survey AS (
          SELECT started_at FROM surveys WHERE destination_id = ${destinationId}::uuid AND job_id = ${jobId}::uuid
        ), given AS (
          SELECT g.*, b.status FROM jsonb_to_recordset(${JSON.stringify(given)}::jsonb) AS g(
            id uuid, prefix text, "foreign" boolean, "backupId" uuid, example text,
            objects bigint, bytes bigint, uploads bigint, oldest timestamptz, newest timestamptz
          ) CROSS JOIN survey AS s
          LEFT JOIN backups AS b ON b.id = g."backupId"
            AND right(g.prefix, length(b.key_prefix) + 1) = b.key_prefix || '/'
          WHERE g."foreign" OR b.id IS NULL OR (
            b.status = 'deleted' AND b.deleted_at < s.started_at - ${graceMs}::float8 * interval '1 millisecond'
          )
        ), counted AS (
          SELECT given.*, k.id IS NOT NULL AS stored, row_number() OVER (
            PARTITION BY k.id IS NOT NULL ORDER BY given.prefix, given."foreign"
          ) AS number, ${MOST_UNKNOWN}::int - (
            SELECT count(*) FROM unknown_objects
            WHERE destination_id = ${destinationId}::uuid AND survey_id = ${jobId}::uuid AND attempt = ${attempt}::int
          ) AS room
          FROM given LEFT JOIN unknown_objects AS k ON k.destination_id = ${destinationId}::uuid
            AND k.prefix = given.prefix AND k.is_foreign = given."foreign"
            AND k.survey_id = ${jobId}::uuid AND k.attempt = ${attempt}::int
        ), noted AS (
          UPDATE surveys SET truncated = true
          WHERE destination_id = ${destinationId}::uuid AND job_id = ${jobId}::uuid
            AND EXISTS (SELECT FROM counted WHERE NOT stored AND number > room)
        )
        INSERT INTO unknown_objects AS u (
          id, destination_id, prefix, is_foreign, reason, example, objects, bytes, uploads, oldest_at, newest_at,
          first_seen_at, last_seen_at, survey_id, attempt
        )
        SELECT id, ${destinationId}::uuid, prefix, "foreign",
          CASE WHEN "foreign" THEN 'foreign_name' WHEN status IS NULL THEN 'no_backup' ELSE 'deleted_backup' END,
          example, objects, bytes, uploads, oldest, newest, clock_timestamp(), clock_timestamp(),
          ${jobId}::uuid, ${attempt}::int
        FROM counted WHERE stored OR number <= room
        ON CONFLICT (destination_id, is_foreign, prefix) DO UPDATE SET
          reason = excluded.reason, example = excluded.example, last_seen_at = excluded.last_seen_at,
          objects = excluded.objects + CASE WHEN (u.survey_id, u.attempt) = (excluded.survey_id, excluded.attempt) THEN u.objects ELSE 0 END,
          bytes = excluded.bytes + CASE WHEN (u.survey_id, u.attempt) = (excluded.survey_id, excluded.attempt) THEN u.bytes ELSE 0 END,
          uploads = excluded.uploads + CASE WHEN (u.survey_id, u.attempt) = (excluded.survey_id, excluded.attempt) THEN u.uploads ELSE 0 END,
          oldest_at = least(excluded.oldest_at, CASE WHEN (u.survey_id, u.attempt) = (excluded.survey_id, excluded.attempt) THEN u.oldest_at END),
          newest_at = greatest(excluded.newest_at, CASE WHEN (u.survey_id, u.attempt) = (excluded.survey_id, excluded.attempt) THEN u.newest_at END),
          survey_id = excluded.survey_id, attempt = excluded.attempt`;
    },
    async complete({ destinationId, jobId, attempt }, { objects, bytes, uploads, at }) {
      await db.$executeRaw`
        DELETE FROM unknown_objects WHERE destination_id = ${destinationId}::uuid
          AND (survey_id <> ${jobId}::uuid OR attempt <> ${attempt}::int)
          AND EXISTS (SELECT FROM surveys WHERE destination_id = ${destinationId}::uuid AND job_id = ${jobId}::uuid)`;
      await db.survey.updateMany({
        where: { destinationId, jobId },
        data: { completedAt: at, objects, bytes, uploads },
      });
    },
    unknown: (destinationId, request) =>
      readPage(
        request,
        (range) =>
          db.unknownObjects.findMany({
            ...range,
            where: { destinationId },
            orderBy: [{ firstSeenAt: 'desc' }, { id: 'desc' }],
          }),
        () => db.unknownObjects.count({ where: { destinationId } }),
        toUnknown,
      ),
    totals: () => db.$queryRaw<UnknownTotals[]>`
      SELECT s.destination_id AS "destinationId", s.completed_at AS "completedAt", count(u.id)::int AS groups,
        coalesce(sum(u.objects), 0)::float8 AS objects, coalesce(sum(u.bytes), 0)::float8 AS bytes,
        coalesce(sum(u.uploads), 0)::float8 AS uploads
      FROM surveys AS s LEFT JOIN unknown_objects AS u ON u.destination_id = s.destination_id
      GROUP BY s.destination_id ORDER BY s.destination_id`,
  };
}

function toSurvey(row: SurveyRow, state: string): SurveyRecord {
  const { jobId, startedAt, completedAt, truncated } = row;
  const figures = {
    objects: toNumber(row.objects),
    bytes: toNumber(row.bytes),
    uploads: toNumber(row.uploads),
  };
  return { jobId, state, startedAt, completedAt, truncated, ...figures };
}

function toUnknown(row: Row): UnknownRecord {
  const { id, prefix, reason, example, oldestAt, newestAt, firstSeenAt, lastSeenAt } = row;
  const figures = { objects: Number(row.objects), bytes: Number(row.bytes), uploads: Number(row.uploads) };
  return { id, prefix, reason, example, ...figures, oldestAt, newestAt, firstSeenAt, lastSeenAt };
}
