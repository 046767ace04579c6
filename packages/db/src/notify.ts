import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@tarfleet/kernel';
import pg from 'pg';
import type { Db } from './prisma-client.ts';

const CHANNEL = 'tarfleet_jobs';

export interface Notifier {
  /** Tells every API process that these jobs have changed, when the transaction commits. */
  jobsChanged(ids: string[]): Promise<void>;
}

export function createNotifier(db: Db): Notifier {
  return {
    async jobsChanged(ids) {
      await db.$queryRaw`SELECT pg_notify(${CHANNEL}, ${ids.join(' ')})::text`;
    },
  };
}

export interface JobListener {
  close(): Promise<void>;
}

/**
 * Calls `onJob` for each job that changed, in this process or another, over one connection of its own that is
 * made again when it breaks. After a gap, in which messages were lost, `onGap` is called: look again.
 */
export function listenToJobs(options: {
  url: string;
  logger: Logger;
  onJob(id: string): void;
  onGap(): void;
}): JobListener {
  let client: pg.Client | undefined;
  const stop = new AbortController();

  const hold = async (): Promise<void> => {
    const connection = new pg.Client({ connectionString: options.url, keepAlive: true });
    const broken = new Promise<Error | undefined>((resolve) => {
      connection.on('error', resolve);
      connection.on('end', () => resolve(undefined));
    });
    client = connection;
    connection.on('notification', ({ payload }) => {
      for (const id of (payload ?? '').split(' ')) options.onJob(id);
    });
    await connection.connect();
    await connection.query(`LISTEN ${CHANNEL}`);
    options.onGap();
    await broken;
  };

  const loop = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      try {
        await hold();
      } catch (error) {
        options.logger.warn({ err: error }, 'live updates: no connection to the database');
      }
      // A client that failed to connect still has to be ended; its error says nothing new.
      await client?.end().catch(() => undefined);
      if (stop.signal.aborted) break;
      await sleep(500, undefined, { signal: stop.signal }).catch(() => undefined);
    }
  };
  const done = loop();
  return {
    async close() {
      stop.abort();
      await client?.end().catch(() => undefined);
      await done;
    },
  };
}
