import { randomUUID } from 'node:crypto';
import {
  type BackendFactory,
  createPostgresBackend,
  createRedisBackend,
  type IQueueBackend,
  Queue,
  Worker,
} from 'bullmq';
import { Redis } from 'ioredis';
import { migrateQueue } from './migrate.ts';
import { parseQueueUrl } from './url.ts';

export interface BareOptions {
  /** Of an otherwise idle database on the server that is measured. */
  url: string;
  jobs: number;
  /** Jobs added at once, and handled at once. */
  concurrency: number;
  /** Ends it early; it rejects with the signal's reason. */
  signal: AbortSignal;
}

/**
 * Jobs a second that BullMQ itself adds and completes here, with nothing of Tarfleet around it: one queue, one
 * worker in this process, a handler that does nothing. What a bench divides our own figure by.
 */
export async function measureBareBullmq(options: BareOptions): Promise<{ jobsPerSecond: number }> {
  const { url, jobs, concurrency, signal } = options;
  await migrateQueue(url);
  const { connection, factory, end } = connect(url);
  const name = `bare-${randomUUID()}`;
  const queue = new Queue(name, { connection, prefix: '{bare}' }, factory);
  let left = jobs;
  let onDone: () => void = () => {};
  const done = new Promise<void>((resolve, reject) => {
    onDone = resolve;
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  done.catch(() => undefined);
  const handle = async (): Promise<null> => null;
  const worker = new Worker(name, handle, { connection, prefix: '{bare}', concurrency }, factory);
  worker.on('completed', () => {
    left -= 1;
    if (left === 0) onDone();
  });
  // Faults of the connection show as jobs that never complete; a bench has a limit of its own.
  queue.on('error', () => undefined);
  worker.on('error', () => undefined);
  try {
    await Promise.all([queue.waitUntilReady(), worker.waitUntilReady()]);
    const began = performance.now();
    let added = 0;
    const add = async (): Promise<void> => {
      while (added < jobs && !signal.aborted) {
        added += 1;
        await queue.add('bare', { n: added });
      }
    };
    await Promise.all(Array.from({ length: concurrency }, add));
    await done;
    return { jobsPerSecond: jobs / ((performance.now() - began) / 1000) };
  } finally {
    await worker.close();
    await queue.close();
    end();
  }
}

type Factory = BackendFactory<IQueueBackend, object>;

function connect(url: string): { connection: object; factory: Factory; end(): void } {
  const target = parseQueueUrl(url);
  if (target.backend === 'postgres') {
    const connection = { connectionString: target.connectionString };
    return { connection, factory: createPostgresBackend as unknown as Factory, end: () => {} };
  }
  const client = new Redis(url, { maxRetriesPerRequest: null });
  client.on('error', () => undefined);
  const factory = createRedisBackend as unknown as Factory;
  return { connection: client, factory, end: () => client.disconnect() };
}
