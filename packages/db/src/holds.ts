import { v7 } from 'uuid';
import type { Db } from './prisma-client.ts';

/**
 * What reads a backup's objects without being a job: downloads. As long as one holds a backup, its objects stay. A
 * hold ends by itself when its process no longer moves its end on. All times are the database's.
 */
export interface Holds {
  /** The hold's id. The caller has locked the backup and seen that it is there. */
  take(backupId: string, seconds: number): Promise<string>;
  /** Moves the end to so many seconds from now, unless it is later already. False when the hold has ended: the objects may go at any moment. */
  extend(id: string, seconds: number): Promise<boolean>;
  release(id: string): Promise<void>;
  /** Those of a backup that have not ended. */
  count(backupId: string): Promise<number>;
  /** Removes those that have ended. */
  purge(): Promise<number>;
}

export function createHolds(db: Db): Holds {
  return {
    async take(backupId, seconds) {
      const id = v7();
      await db.$executeRaw`
        INSERT INTO backup_holds (id, backup_id, expires_at)
        VALUES (${id}::uuid, ${backupId}::uuid, clock_timestamp() + ${seconds}::float8 * interval '1 second')`;
      return id;
    },
    async extend(id, seconds) {
      const extended = await db.$executeRaw`
        UPDATE backup_holds
        SET expires_at = greatest(expires_at, clock_timestamp() + ${seconds}::float8 * interval '1 second')
        WHERE id = ${id}::uuid AND expires_at > clock_timestamp()`;
      return extended > 0;
    },
    async release(id) {
      await db.backupHold.deleteMany({ where: { id } });
    },
    async count(backupId) {
      const [row] = await db.$queryRaw<{ count: bigint }[]>`
        SELECT count(*) AS count FROM backup_holds
        WHERE backup_id = ${backupId}::uuid AND expires_at > clock_timestamp()`;
      return Number(row?.count ?? 0);
    },
    purge: () => db.$executeRaw`DELETE FROM backup_holds WHERE expires_at <= clock_timestamp()`,
  };
}
