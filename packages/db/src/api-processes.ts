import type { Db } from './prisma-client.ts';

/** After so long without a word a process counts as gone, in seconds. */
const GONE_SECONDS = 30;

/** API processes that are alive, by the database's clock. */
export interface ApiProcesses {
  /**
   * Notes this one. True when none is alive, nor noted by this one itself before: then a deployment starts, not one more
   * replica. In a transaction, of several that enter at once one is the first, once that one's is committed; its answer
   * may be lost, and it enters again.
   */
  enter(id: string): Promise<boolean>;
  /** Says that it is alive; often enough, each 10 seconds. */
  seen(id: string): Promise<void>;
  leave(id: string): Promise<void>;
}

export function createApiProcesses(db: Db): ApiProcesses {
  return {
    async enter(id) {
      await db.$executeRaw`LOCK TABLE api_processes IN EXCLUSIVE MODE`;
      await db.$executeRaw`
        DELETE FROM api_processes WHERE seen_at < clock_timestamp() - ${GONE_SECONDS}::float8 * interval '1 second'`;
      const noted = await db.apiProcess.count();
      await db.$executeRaw`
        INSERT INTO api_processes (id, seen_at) VALUES (${id}::uuid, clock_timestamp())
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`;
      return noted === 0;
    },
    async seen(id) {
      await db.$executeRaw`
        INSERT INTO api_processes (id, seen_at) VALUES (${id}::uuid, clock_timestamp())
        ON CONFLICT (id) DO UPDATE SET seen_at = excluded.seen_at`;
    },
    async leave(id) {
      await db.apiProcess.deleteMany({ where: { id } });
    },
  };
}
