import { AppError } from '@tarfleet/kernel';
import { createCancelWatch } from './cancels.ts';
import { startConsumer } from './consumer.ts';
import { type Hub, openHub } from './hub.ts';
import { createLockKeeper } from './lock-keeper.ts';
import { createPublisher } from './publisher.ts';
import type { QueueOptions } from './settings.ts';
import type { Consumer, QueueWorker } from './types.ts';

/**
 * Connects a worker to the queue. Rejects with UNAVAILABLE when the queue does not answer in time, and with
 * INTERNAL when it is not fit: keys may be evicted, no migration has run, or the clocks differ too much.
 * `close` closes the consumers that are still open, without a grace.
 */
export async function createQueueWorker(options: QueueOptions): Promise<QueueWorker> {
  const { logger } = options;
  const hub = await openHub(options);
  try {
    await assertClock(hub, options);
  } catch (error) {
    await hub.close();
    throw error;
  }
  const { lockMs, callMs } = hub.settings;
  const { onFault } = hub;
  const locks = createLockKeeper({ lockMs, callMs, logger, onFault });
  const cancels = createCancelWatch(hub);
  const publisher = createPublisher(hub);
  const consumers = new Set<Consumer>();
  let closing: Promise<void> | undefined;

  const close = async (): Promise<void> => {
    await Promise.all([...consumers].map((consumer) => consumer.close(0)));
    cancels.close();
    publisher.close();
    await hub.close();
  };
  return {
    async consume(consumeOptions) {
      if (closing) throw new AppError('WORKER_STOPPING', 'The worker is closed.');
      const consumer = await startConsumer(consumeOptions, { hub, locks, cancels, logger });
      consumers.add(consumer);
      return consumer;
    },
    publish: (message, signal) => publisher.publish(message, signal),
    ping: () => hub.ping(),
    close() {
      closing ??= close();
      return closing;
    },
  };
}

/**
 * Postgres keeps a lock's end by the clocks of the workers that set and check it. One that is far ahead would
 * take jobs away from workers that are alive.
 */
async function assertClock(hub: Hub, { logger }: QueueOptions): Promise<void> {
  const ahead = await hub.clockAheadMs();
  if (ahead === null) return;
  const seconds = Math.round(Math.abs(ahead) / 1_000);
  if (Math.abs(ahead) > hub.settings.lockMs / 3) {
    throw new AppError(
      'INTERNAL',
      `This machine's clock and that of the queue's database differ by ${seconds} s. Set up time synchronisation on both and start again.`,
    );
  }
  if (seconds >= 2) logger.warn({ seconds }, 'clock differs from that of the queue database');
}
