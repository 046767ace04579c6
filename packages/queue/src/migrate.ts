import { AppError } from '@tarfleet/kernel';
import { runMigrations } from 'bullmq';
import pg from 'pg';
import { withDeadline } from './deadline.ts';
import { loginFault } from './postgres-transport.ts';
import { assertNoEviction, createRedisClient, untilReady } from './redis-client.ts';
import { DEFAULT_SETTINGS } from './settings.ts';
import { parseQueueUrl } from './url.ts';

/**
 * Makes a queue's server ready: on Postgres, creates or updates BullMQ's schema (several processes may do so at
 * once); on Redis there is nothing to make, and this throws INTERNAL when keys may be evicted.
 * UNAVAILABLE when the server does not answer.
 */
export async function migrateQueue(url: string): Promise<void> {
  const target = parseQueueUrl(url);
  const { callMs } = DEFAULT_SETTINGS;
  if (target.backend === 'redis') {
    const client = createRedisClient(target);
    // Faults of the connection show in the calls below.
    client.on('error', () => {});
    try {
      await untilReady(client, callMs);
      await assertNoEviction(client, callMs);
    } finally {
      client.disconnect();
    }
    return;
  }
  const client = new pg.Client({
    connectionString: target.connectionString,
    connectionTimeoutMillis: callMs,
    application_name: 'tarfleet-queue',
  });
  client.on('error', () => {});
  try {
    await withDeadline(callMs * 2, () => client.connect());
    await runMigrations(client);
  } catch (error) {
    if ((error as { code?: unknown }).code === '42501') {
      throw new AppError(
        'INTERNAL',
        "The role in QUEUE_URL may not create the queue's schema in that database.",
        { cause: error },
      );
    }
    throw loginFault(error instanceof AppError ? error.cause : error) ?? error;
  } finally {
    await client.end();
  }
}
