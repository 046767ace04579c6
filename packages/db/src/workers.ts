import type { Heartbeat } from '@tarfleet/contracts';
import type { Worker as WorkerRow } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

export interface WorkerRecord {
  id: string;
  host: string;
  pid: number;
  pool: string;
  version: string;
  startedAt: Date;
  /** Of its last heartbeat, by its own clock, but never in the future. */
  lastSeenAt: Date;
  stopping: boolean;
  jobs: Heartbeat['jobs'];
  /** Of its keyring. */
  keys: string[];
  primaryKey: string | null;
}

/** What the fleet's heartbeats tell. */
export interface Workers {
  /** Stores a heartbeat, unless a later one of the same worker is stored already. */
  record(heartbeat: Heartbeat): Promise<void>;
  /** Those seen since, by pool and host; any worker when `since` is left out. */
  list(filter?: { since?: Date; pool?: string }): Promise<WorkerRecord[]>;
  get(id: string): Promise<WorkerRecord | null>;
  /** Removes those last seen before `before`. Returns how many. */
  purge(before: Date): Promise<number>;
}

export function createWorkers(db: Db): Workers {
  return {
    async record(beat) {
      await db.$executeRaw`
        INSERT INTO workers AS w (id, host, pid, pool, version, started_at, last_seen_at, stopping, jobs,
                                  keys, primary_key)
        VALUES (${beat.workerId}, ${beat.host}, ${beat.pid}, ${beat.pool}, ${beat.version},
                ${beat.startedAt}::timestamptz, LEAST(${beat.at}::timestamptz, clock_timestamp()),
                ${beat.stopping}, ${JSON.stringify(beat.jobs)}::jsonb,
                ${beat.keyring.keys}::text[], ${beat.keyring.primary})
        ON CONFLICT (id) DO UPDATE SET
          host = excluded.host, pid = excluded.pid, pool = excluded.pool, version = excluded.version,
          started_at = excluded.started_at, last_seen_at = excluded.last_seen_at,
          stopping = excluded.stopping, jobs = excluded.jobs,
          keys = excluded.keys, primary_key = excluded.primary_key
        WHERE w.last_seen_at <= excluded.last_seen_at`;
    },
    async list({ since, pool } = {}) {
      const where = {
        ...(since === undefined ? {} : { lastSeenAt: { gte: since } }),
        ...(pool === undefined ? {} : { pool }),
      };
      const orderBy = [{ pool: 'asc' }, { host: 'asc' }, { id: 'asc' }] as const;
      return (await db.worker.findMany({ where, orderBy: [...orderBy] })).map(toWorker);
    },
    async get(id) {
      const row = await db.worker.findUnique({ where: { id } });
      return row && toWorker(row);
    },
    async purge(before) {
      return (await db.worker.deleteMany({ where: { lastSeenAt: { lt: before } } })).count;
    },
  };
}

function toWorker(row: WorkerRow): WorkerRecord {
  return { ...row, jobs: row.jobs as unknown as WorkerRecord['jobs'] };
}
