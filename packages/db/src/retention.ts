import type { RetentionPolicy } from '@tarfleet/contracts';
import { Prisma } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

/** Backups of one project at one destination that hold the same services. */
export interface SeriesKey {
  projectId: number;
  destinationId: string;
  series: string;
}

/** What retention needs to know of a completed or partial backup. */
export interface SeriesMember extends SeriesKey {
  id: string;
  /** The schedule that made it; it may be gone. */
  scheduleId: string | null;
  /** How it was captured: one whose copy failed is as good as any. */
  status: 'completed' | 'partial';
  /** Why it was made when nobody asked for it (`emergency`: before a restore); absent counts as null. */
  occasion?: string | null;
  createdAt: Date;
  retentionUntil: Date | null;
  /** Whether a verification found it, or one that it builds on, damaged. */
  damaged: boolean;
  lockedAt: Date | null;
  lockReason: string | null;
  lockUntil: Date | null;
}

/** What is in force for the backups of a project at a destination. */
export interface RetentionGround {
  project: RetentionPolicy | null;
  destination: RetentionPolicy | null;
  /** Of the project's schedules that have one, by their ids. */
  schedules: Record<string, RetentionPolicy>;
  /** By the database's clock. */
  now: Date;
}

/** What stands against removing a backup's objects. */
export interface BackupUses {
  neededBy: string[];
  jobs: string[];
  downloads: number;
}

export interface Retention {
  /**
   * What is in force, kept as it is until the transaction ends; meanwhile no other transaction that asks for it
   * accepts a deletion in this project, or changes what its schedules keep. To be taken before anything else is locked.
   */
  hold(projectId: number, destinationId: string | null): Promise<RetentionGround>;
  /** The same, held by nobody. */
  look(projectId: number, destinationId: string | null): Promise<RetentionGround>;
  /** Series in which a policy rules, or in which something's own days are over. After the given one, by their order. */
  dueSeries(now: Date, after: SeriesKey | null, limit: number): Promise<SeriesKey[]>;
  /** All completed and partial ones of a series. */
  membersOf(key: SeriesKey): Promise<SeriesMember[]>;
  /** All completed and partial ones of a project, series by series. */
  ofProject(projectId: number): Promise<SeriesMember[]>;
  /** Other backups that need something of these, and are not deleted; what has not ended of jobs on these and of downloads. */
  usesOf(ids: string[]): Promise<({ id: string } & BackupUses)[]>;
  /**
   * Backups whose deletion began and on which no job works: the last one failed, was cancelled or expired. Those
   * whose last try ended before a pause that doubles with each, up to a day.
   */
  brokenDeletions(now: Date, limit: number): Promise<string[]>;
  /** Jobs of deletion that have not ended. */
  runningDeletions(): Promise<number>;
  setProjectPolicy(projectId: number, policy: RetentionPolicy | null): Promise<boolean>;
}

const MEMBERS = Prisma.sql`
  SELECT id, schedule_id AS "scheduleId", project_id AS "projectId", destination_id AS "destinationId", series,
    -- A failed copy takes nothing from what lies at the main destination.
    CASE WHEN outcome = 'completed' THEN outcome ELSE status END AS status, occasion,
    created_at AS "createdAt", retention_until AS "retentionUntil",
    locked_at AS "lockedAt", lock_reason AS "lockReason", lock_until AS "lockUntil",
    verified IS FALSE OR EXISTS (
      SELECT FROM artifacts AS own JOIN artifact_refs AS r ON r.dependent_id = own.id
      JOIN artifacts AS a ON a.id = r.ancestor_id JOIN backups AS needed ON needed.id = a.backup_id
      WHERE own.backup_id = backups.id AND needed.verified IS FALSE
    ) AS damaged
  FROM backups`;

export function createRetention(db: Db): Retention {
  const look: Retention['look'] = async (projectId, destinationId) => {
    const [row] = await db.$queryRaw<RetentionGround[]>`
      SELECT (SELECT retention FROM projects WHERE id = ${projectId}) AS project,
        (SELECT retention FROM destinations WHERE id = ${destinationId}::uuid) AS destination,
        (SELECT coalesce(jsonb_object_agg(id, retention), '{}') FROM schedules
          WHERE project_id = ${projectId} AND retention IS NOT NULL) AS schedules,
        clock_timestamp() AS now`;
    return row ?? { project: null, destination: null, schedules: {}, now: new Date() };
  };
  return {
    look,
    async hold(projectId, destinationId) {
      await db.$queryRaw`SELECT 1 AS held FROM projects WHERE id = ${projectId} FOR NO KEY UPDATE`;
      await db.$queryRaw`SELECT 1 AS held FROM destinations WHERE id = ${destinationId}::uuid FOR SHARE`;
      return look(projectId, destinationId);
    },
    dueSeries: (now, after, limit) => db.$queryRaw<SeriesKey[]>`
      SELECT b.project_id AS "projectId", b.destination_id AS "destinationId", b.series
      FROM backups AS b JOIN projects AS p ON p.id = b.project_id JOIN destinations AS d ON d.id = b.destination_id
      WHERE b.status IN ('completed', 'partial') AND b.series IS NOT NULL
        AND (p.retention IS NOT NULL OR d.retention IS NOT NULL OR b.retention_until <= ${now}
          OR EXISTS (SELECT FROM schedules AS s WHERE s.id = b.schedule_id AND s.retention IS NOT NULL))
        AND (${after === null} OR (b.project_id, b.destination_id, b.series) >
          (${after?.projectId ?? 0}, ${after?.destinationId ?? null}::uuid, ${after?.series ?? ''}))
      GROUP BY 1, 2, 3 ORDER BY b.project_id, b.destination_id, b.series LIMIT ${limit}`,
    membersOf: ({ projectId, destinationId, series }) => db.$queryRaw<SeriesMember[]>`
      ${MEMBERS} WHERE status IN ('completed', 'partial') AND project_id = ${projectId}
        AND destination_id = ${destinationId}::uuid AND series = ${series}`,
    ofProject: (projectId) => db.$queryRaw<SeriesMember[]>`
      ${MEMBERS} WHERE status IN ('completed', 'partial') AND project_id = ${projectId}
        AND destination_id IS NOT NULL AND series IS NOT NULL
      ORDER BY destination_id, series, created_at DESC, id DESC`,
    usesOf: (ids) => db.$queryRaw<({ id: string } & BackupUses)[]>`
      SELECT asked.id, array(
        SELECT DISTINCT d.backup_id FROM artifact_refs AS r
        JOIN artifacts AS a ON a.id = r.ancestor_id JOIN artifacts AS d ON d.id = r.dependent_id
        WHERE a.backup_id = asked.id AND d.backup_id <> asked.id ORDER BY 1
      ) AS "neededBy", array(
        SELECT j.id FROM jobs AS j WHERE j.backup_id = asked.id AND j.ended_at IS NULL ORDER BY 1
      ) AS jobs, (
        SELECT count(*)::int FROM backup_holds AS h WHERE h.backup_id = asked.id AND h.expires_at > clock_timestamp()
      ) AS downloads
      FROM unnest(${ids}::uuid[]) AS asked(id)`,
    async brokenDeletions(now, limit) {
      const rows = await db.$queryRaw<{ id: string }[]>`
        SELECT b.id FROM backups AS b CROSS JOIN LATERAL (
          SELECT count(*) AS tries, max(j.ended_at) AS last FROM jobs AS j
          WHERE j.backup_id = b.id AND j.kind = 'delete'
        ) AS done
        WHERE b.status = 'deleting'
          AND NOT EXISTS (SELECT FROM jobs AS j WHERE j.backup_id = b.id AND j.ended_at IS NULL)
          AND (done.last IS NULL OR
            done.last <= ${now}::timestamptz - least(86400, 60 * power(2, least(done.tries, 20) - 1)) * interval '1 second')
        ORDER BY done.last NULLS FIRST LIMIT ${limit}`;
      return rows.map(({ id }) => id);
    },
    runningDeletions: () => db.job.count({ where: { kind: 'delete', endedAt: null } }),
    async setProjectPolicy(id, policy) {
      const text = policy === null ? null : JSON.stringify(policy);
      return (await db.$executeRaw`UPDATE projects SET retention = ${text}::jsonb WHERE id = ${id}`) > 0;
    },
  };
}
