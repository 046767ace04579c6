import { AppError } from '@tarfleet/kernel';
import { assertSchemaCompatibility, createPostgresBackend } from 'bullmq';
import pg from 'pg';
import { withDeadline } from './deadline.ts';
import { createSharedPool } from './shared-pool.ts';
import type { Transport, TransportOptions } from './transport.ts';
import type { PostgresTarget } from './url.ts';

/** Connections of one process at most. One of them listens, where something has to be listened to. */
const POOL_SIZE = 8;

/**
 * A small pool that all queues of the process share. Rejects when Postgres does not answer, or `migrateQueue`
 * has not run in that database.
 */
export async function createPostgresTransport(
  target: PostgresTarget,
  options: TransportOptions,
): Promise<Transport> {
  const pool = new pg.Pool({
    connectionString: target.connectionString,
    application_name: 'tarfleet-queue',
    max: POOL_SIZE,
    // Also the longest wait for a free connection.
    connectionTimeoutMillis: options.callMs,
    query_timeout: options.callMs * 2,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  });
  pool.on('error', options.onFault);
  pool.on('connect', (client) => client.setMaxListeners(0));
  const shared = createSharedPool(pool);
  try {
    await withDeadline(options.callMs, () => assertMigrated(pool));
  } catch (error) {
    await pool.end();
    throw error;
  }
  return {
    backend: 'postgres',
    factory: (name, queueOptions, factoryOptions) =>
      createPostgresBackend(name, { ...queueOptions, connection: shared }, factoryOptions),
    async ping() {
      await pool.query('select 1');
    },
    async clockAheadMs() {
      const before = Date.now();
      const result = await pool.query<{ ms: number }>(
        'select (extract(epoch from clock_timestamp()) * 1000)::float8 as ms',
      );
      const middle = (before + Date.now()) / 2;
      return (result.rows[0]?.ms ?? middle) - middle;
    },
    async close() {
      await shared.closeListener();
      await pool.end();
    },
  };
}

async function assertMigrated(pool: pg.Pool): Promise<void> {
  const client = await pool.connect().catch((error: unknown) => {
    throw loginFault(error) ?? error;
  });
  let fault: Error | undefined;
  try {
    await assertSchemaCompatibility(client);
  } catch (error) {
    fault = error as Error;
    const code = (error as { code?: unknown }).code;
    // 3F000 and 42P01: no schema, no table. 42501: a role without the right to use it.
    if (code === '3F000' || code === '42P01' || fault.name === 'SchemaMigrationRequiredError') {
      throw new AppError('INTERNAL', "The queue's database is not set up: run migrateQueue on it first.");
    }
    if (code === '42501') {
      throw new AppError(
        'INTERNAL',
        'The role in QUEUE_URL may not use the schema "bullmq": grant it the rights, or use the role that ran migrateQueue.',
      );
    }
    if (fault.name === 'SchemaVersionMismatchError' || fault.name === 'UnsupportedPostgresVersionError') {
      throw new AppError('INTERNAL', fault.message);
    }
    throw error;
  } finally {
    client.release(fault);
  }
}

/** What a refused login means; undefined for every other fault. */
export function loginFault(error: unknown): AppError | undefined {
  const code = String((error as { code?: unknown } | null)?.code);
  if (code.startsWith('28')) {
    return new AppError('UNAVAILABLE', "The queue's Postgres refuses the role or password in QUEUE_URL.");
  }
  if (code === '3D000') {
    return new AppError('UNAVAILABLE', 'The database that QUEUE_URL names does not exist; create it first.');
  }
  return undefined;
}
