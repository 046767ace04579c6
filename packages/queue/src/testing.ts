/** What the tests of this room share: both backends, fast settings, everything closed at the end. */
import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, describe } from '@jest/globals';
import type { JobKind } from '@tarfleet/contracts';
import { createLogger, type Logger } from '@tarfleet/kernel';
import { createTestDatabase, type RunningRedis, startRedis } from '@tarfleet/testbed';
import {
  createQueueEvents,
  createQueueProducer,
  createQueueWorker,
  type Delivery,
  type DeliveryHandler,
  migrateQueue,
  type QueueEvents,
  type QueueJob,
  type QueueProducer,
  type QueueSettings,
  type QueueState,
  type QueueWorker,
} from './index.ts';
import { FAST } from './testing-settings.ts';

export { FAST };

/** Prints nothing unless QUEUE_TEST_LOG is set. */
export function testLogger(): Logger {
  return createLogger({ level: process.env.QUEUE_TEST_LOG ?? 'silent', process: 'test' });
}

export interface Backend {
  readonly url: string;
  /** A pool name that no other test uses. */
  pool(): string;
  producer(settings?: Partial<QueueSettings>): Promise<QueueProducer>;
  worker(settings?: Partial<QueueSettings>): Promise<QueueWorker>;
  events(settings?: Partial<QueueSettings>): Promise<QueueEvents>;
}

/** Opens queue objects on a server and closes them after each test. */
export function createOpener(url: () => string): { backend: Backend; closeAll(): Promise<void> } {
  const opened: { close(): Promise<void> }[] = [];
  const keep = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
    const object = await opening;
    opened.push(object);
    return object;
  };
  const options = (settings?: Partial<QueueSettings>) => ({
    url: url(),
    logger: testLogger(),
    settings: { ...FAST, ...settings },
  });
  return {
    backend: {
      get url() {
        return url();
      },
      pool: () => `p${randomUUID().slice(0, 8)}`,
      producer: (settings) => keep(createQueueProducer(options(settings))),
      worker: (settings) => keep(createQueueWorker(options(settings))),
      events: (settings) => keep(createQueueEvents(options(settings))),
    },
    async closeAll() {
      await Promise.all(opened.splice(0).map((object) => object.close()));
    },
  };
}

/** Runs the same tests on Postgres and on Redis. */
export function onBothBackends(tests: (backend: Backend) => void): void {
  describe('on Postgres', () => {
    let url = '';
    let drop = async (): Promise<void> => {};
    const { backend, closeAll } = createOpener(() => url);
    beforeAll(async () => {
      const database = await createTestDatabase();
      url = database.url;
      drop = database.drop;
      await migrateQueue(url);
    });
    afterEach(closeAll);
    afterAll(() => drop());
    tests(backend);
  });
  describe('on Redis', () => {
    let redis: RunningRedis | undefined;
    const { backend, closeAll } = createOpener(() => redis?.url() ?? '');
    beforeAll(async () => {
      // A server of its own: the queue of messages has one name only.
      redis = await startRedis();
    });
    afterEach(closeAll);
    afterAll(() => redis?.stop());
    tests(backend);
  });
}

export function aJob(pool: string, kind: JobKind = 'verify', more: Partial<QueueJob> = {}): QueueJob {
  return { jobId: randomUUID(), pool, kind, plan: 'a signed plan', generation: 1, ...more };
}

/** Resolves with the first value that `look` gives; fails after 30 s. */
export async function eventually<T>(look: () => T | undefined | Promise<T | undefined>): Promise<T> {
  const giveUpAt = Date.now() + 30_000;
  for (;;) {
    const value = await look();
    if (value !== undefined) return value;
    if (Date.now() > giveUpAt) throw new Error('it did not happen within 30 s');
    await sleep(25);
  }
}

export function untilState(
  producer: QueueProducer,
  job: QueueJob,
  wanted: QueueState['state'],
): Promise<QueueState> {
  return eventually(async () => {
    const state = await producer.state(job);
    return state.state === wanted ? state : undefined;
  });
}

/** A handler that keeps its deliveries, and runs each until its signal is aborted. */
export function untilAborted(deliveries: Delivery[]): DeliveryHandler {
  return async (delivery) => {
    deliveries.push(delivery);
    await new Promise<void>((resolve) => {
      if (delivery.signal.aborted) resolve();
      delivery.signal.addEventListener('abort', () => resolve());
    });
    throw delivery.signal.reason;
  };
}

/** A promise and the function that resolves it. */
export function gate(): { opened: Promise<void>; open: () => void } {
  let open = (): void => {};
  const opened = new Promise<void>((resolve) => {
    open = resolve;
  });
  return { opened, open };
}
