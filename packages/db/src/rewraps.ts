import type { Db } from './prisma-client.ts';

/** Encrypted backups that can be or may become restorable, of one project or (null) of all. */
export interface RewrapScope {
  projectId: number | null;
  /** That made the backup. */
  pool: string;
  /** The key that they are to be wrapped with, and no other. */
  keyName: string;
}

/** What a change of keys has to look after. Hidden backups count: later ones need what they stored. */
export interface Rewraps {
  /** The pools that have made encrypted backups. */
  pools(projectId: number | null): Promise<string[]>;
  /** Ids of those whose keys are to be wrapped anew and can be now, oldest first, past `after`. */
  due(scope: RewrapScope, page: { after: string | null; limit: number }): Promise<string[]>;
  /** `running`: somebody wraps their keys now. `remaining`: all others that are not wrapped with this key alone, unfinished ones too. */
  count(scope: RewrapScope): Promise<{ running: number; remaining: number }>;
}

export function createRewraps(db: Db): Rewraps {
  return {
    async pools(projectId) {
      const rows = await db.$queryRaw<{ pool: string }[]>`
        SELECT DISTINCT j.pool FROM backups b JOIN jobs j ON j.id = b.id
        WHERE b.encrypted AND b.status IN ('in_progress', 'completed', 'partial', 'hidden')
          AND (${projectId}::int IS NULL OR b.project_id = ${projectId}::int)
        ORDER BY j.pool`;
      return rows.map(({ pool }) => pool);
    },
    async due({ projectId, pool, keyName }, { after, limit }) {
      const rows = await db.$queryRaw<{ id: string }[]>`
        SELECT b.id FROM backups b JOIN jobs j ON j.id = b.id
        WHERE b.encrypted AND b.status IN ('completed', 'partial', 'hidden') AND b.manifest_sha256 IS NOT NULL
          AND b.encryption_keys <> ARRAY[${keyName}::text] AND j.pool = ${pool}
          AND (${projectId}::int IS NULL OR b.project_id = ${projectId}::int)
          AND (${after}::uuid IS NULL OR b.id > ${after}::uuid)
          AND NOT EXISTS (SELECT FROM jobs u WHERE u.backup_id = b.id AND u.ended_at IS NULL
                          AND u.kind IN ('rewrap', 'sweep', 'delete', 'copy'))
        ORDER BY b.id LIMIT ${limit}`;
      return rows.map(({ id }) => id);
    },
    async count({ projectId, pool, keyName }) {
      const [row] = await db.$queryRaw<{ running: number; total: number }[]>`
        SELECT count(*)::int AS total,
          (count(*) FILTER (WHERE EXISTS (SELECT FROM jobs u WHERE u.backup_id = b.id AND u.ended_at IS NULL
                                          AND u.kind = 'rewrap')))::int AS running
        FROM backups b JOIN jobs j ON j.id = b.id
        WHERE b.encrypted AND b.status IN ('in_progress', 'completed', 'partial', 'hidden')
          AND b.encryption_keys <> ARRAY[${keyName}::text] AND j.pool = ${pool}
          AND (${projectId}::int IS NULL OR b.project_id = ${projectId}::int)`;
      const { running, total } = row ?? { running: 0, total: 0 };
      return { running, remaining: total - running };
    },
  };
}
