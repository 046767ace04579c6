import { createParser, type JobKind, Progress } from '@tarfleet/contracts';
import { settledWithin } from './deadline.ts';
import { openHub } from './hub.ts';
import { decodeValue } from './job-data.ts';
import { startMessages } from './messages.ts';
import { queueName } from './names.ts';
import { listenTo } from './progress-listener.ts';
import type { QueueOptions } from './settings.ts';
import type { QueueEvents } from './types.ts';

/** The kinds of job whose progress somebody watches. */
const WITH_PROGRESS: JobKind[] = ['artifact', 'backup', 'verify', 'restore', 'delete'];

const parseProgress = createParser(Progress);

/** Connects a recorder to the queue. Rejects as `createQueueWorker` does. */
export async function createQueueEvents(options: QueueOptions): Promise<QueueEvents> {
  const { logger } = options;
  const hub = await openHub(options);
  const closers: (() => Promise<void>)[] = [];
  let closing: Promise<void> | undefined;

  const onEvent =
    (handler: (jobId: string, progress: Progress) => void) => (jobId: string, data: unknown) => {
      const progress = parseProgress(decodeValue(data));
      if (!progress.ok) {
        logger.warn({ jobId, faults: progress.faults }, 'progress of an unknown form dropped');
        return;
      }
      try {
        handler(jobId, progress.value);
      } catch (error) {
        logger.error({ err: error, jobId }, 'progress handler failed');
      }
    };

  return {
    async onMessage(handler) {
      closers.push(await startMessages(hub, logger, handler));
    },
    async onProgress(pools, handler) {
      const names = pools.flatMap((pool) => WITH_PROGRESS.map((kind) => queueName({ pool, kind })));
      const opened = await Promise.allSettled(names.map((name) => hub.events(name)));
      const streams = opened.flatMap((result) => (result.status === 'fulfilled' ? [result.value] : []));
      const failed = opened.find((result) => result.status === 'rejected');
      if (failed) {
        await Promise.all(streams.map((stream) => settledWithin(2_000, stream.close())));
        throw failed.reason;
      }
      const emit = onEvent(handler);
      closers.push(...streams.map((stream) => listenTo(stream, emit, hub.onFault)));
    },
    close() {
      closing ??= (async () => {
        await Promise.all(closers.map((close) => close()));
        await hub.close();
      })();
      return closing;
    },
  };
}
