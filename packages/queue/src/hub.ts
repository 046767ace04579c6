import { FlowProducer, type IQueueBackend, Queue, QueueEvents, Worker } from 'bullmq';
import { settledWithin, withDeadline } from './deadline.ts';
import { createFaultLog, type FaultLog } from './fault-log.ts';
import { KEY_PREFIX } from './names.ts';
import { createPostgresTransport } from './postgres-transport.ts';
import { createRedisTransport } from './redis-transport.ts';
import { DEFAULT_SETTINGS, type QueueOptions, type QueueSettings } from './settings.ts';
import type { Transport } from './transport.ts';
import { parseQueueUrl } from './url.ts';

export type JobQueue = Queue<unknown, unknown, string, unknown, unknown, string, IQueueBackend, object>;
export type JobWorker = Worker<unknown, unknown, string, IQueueBackend, string, object>;
export type JobEvents = QueueEvents<unknown, IQueueBackend, object>;
export type JobFlows = FlowProducer<IQueueBackend, object>;

/**
 * BullMQ's objects of one process, on shared connections. Each is ready when it is handed out: BullMQ remembers
 * a first connection that failed for ever, so one that does not become ready is thrown away.
 */
export interface Hub {
  readonly settings: QueueSettings;
  readonly backend: Transport['backend'];
  readonly onFault: FaultLog;
  /** The same object for the same name. */
  queue(name: string): Promise<JobQueue>;
  flows(): Promise<JobFlows>;
  /** New for each call; takes nothing by itself. The caller closes it. */
  worker(name: string, maxStalls: number): Promise<JobWorker>;
  /** New for each call; reads nothing until `run()`. The caller closes it. */
  events(name: string): Promise<JobEvents>;
  ping(): Promise<void>;
  clockAheadMs(): Promise<number | null>;
  /** Ends all connections, whatever still uses them. */
  close(): Promise<void>;
}

/** Connects. Rejects with UNAVAILABLE when the server does not answer in time, INTERNAL when it is not fit for a queue. */
export async function openHub(options: QueueOptions): Promise<Hub> {
  const settings: QueueSettings = { ...DEFAULT_SETTINGS, ...options.settings };
  const target = parseQueueUrl(options.url);
  const onFault = createFaultLog(options.logger);
  const { callMs } = settings;
  const transportOptions = { logger: options.logger, onFault, callMs };
  const transport = await (target.backend === 'postgres'
    ? createPostgresTransport(target, transportOptions)
    : createRedisTransport(target, transportOptions));
  const { factory } = transport;
  // The factory puts the shared connection in.
  const base = { connection: {}, prefix: KEY_PREFIX };
  const queues = new Map<string, Promise<JobQueue>>();
  let flows: Promise<JobFlows> | undefined;

  const ready = async <T extends Closable>(object: T): Promise<T> => {
    object.on('error', onFault);
    try {
      await withDeadline(callMs, () => object.waitUntilReady());
      return object;
    } catch (error) {
      await settledWithin(1_000, object.close());
      throw error;
    }
  };

  return {
    settings,
    backend: transport.backend,
    onFault,
    queue(name) {
      const known = queues.get(name);
      if (known) return known;
      const opening = ready(new Queue(name, { ...base, skipMetasUpdate: true }, factory) as JobQueue);
      queues.set(name, opening);
      opening.catch(() => queues.delete(name));
      return opening;
    },
    flows() {
      if (flows) return flows;
      const producer = new FlowProducer(base, factory) as JobFlows;
      checkEveryEntry(producer.getBackend());
      const opening = ready(
        Object.assign(producer, { waitUntilReady: () => producer.getBackend().waitUntilReady() }),
      );
      flows = opening;
      opening.catch(() => {
        flows = undefined;
      });
      return opening;
    },
    worker(name, maxStalls) {
      const worker = new Worker(
        name,
        null,
        {
          ...base,
          autorun: false,
          lockDuration: settings.lockMs,
          stalledInterval: settings.stalledCheckMs,
          maxStalledCount: maxStalls,
          drainDelay: 5,
        },
        factory,
      );
      return ready(worker as JobWorker);
    },
    events: (name) => ready(new QueueEvents(name, { ...base, autorun: false }, factory) as JobEvents),
    ping: () => withDeadline(callMs, () => transport.ping()),
    clockAheadMs: () => withDeadline(callMs, () => transport.clockAheadMs()),
    async close() {
      const objects = await Promise.allSettled([...queues.values(), ...(flows ? [flows] : [])]);
      const closing = objects.map((object) => (object.status === 'fulfilled' ? object.value.close() : null));
      await settledWithin(2_000, Promise.allSettled(closing));
      await settledWithin(2_000, transport.close());
    },
  };
}

interface Closable {
  on(event: 'error', listener: (error: Error) => void): unknown;
  waitUntilReady(): Promise<unknown>;
  close(): Promise<void>;
}

/** BullMQ's FlowProducer looks at the first entry's result alone; a child that was not added must not go unseen. */
function checkEveryEntry(backend: IQueueBackend): void {
  const addFlow = backend.addFlow.bind(backend);
  backend.addFlow = async (entries) => {
    const results = await addFlow(entries);
    for (const [error, id] of results) {
      if (error) throw error;
      if (typeof id === 'number') throw Object.assign(new Error(`flow entry refused: ${id}`), { code: id });
    }
    return results;
  };
}
