import { setTimeout as sleep } from 'node:timers/promises';
import type { EventBatch, Heartbeat } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { withDeadline } from './deadline.ts';
import type { Hub } from './hub.ts';
import { MESSAGES_QUEUE, messageId } from './names.ts';

const MAX_PAUSE_MS = 5_000;

export interface Publisher {
  publish(message: EventBatch | Heartbeat, signal?: AbortSignal): Promise<void>;
  /** Ends the calls that still wait for a queue that is down: they reject with WORKER_STOPPING. */
  close(): void;
}

/** Stores messages for the recorders, trying again for as long as the queue is down. */
export function createPublisher(hub: Hub): Publisher {
  const closed = new AbortController();
  return {
    async publish(message, signal) {
      const body = { body: JSON.stringify(message) };
      const options = {
        jobId: messageId(message),
        removeOnComplete: true,
        removeOnFail: false,
        stackTraceLimit: 0,
      };
      const ended = AbortSignal.any([closed.signal, ...(signal ? [signal] : [])]);
      for (let pause = 200; ; pause = Math.min(pause * 2, MAX_PAUSE_MS)) {
        ended.throwIfAborted();
        try {
          await withDeadline(hub.settings.callMs, async () => {
            const queue = await hub.queue(MESSAGES_QUEUE);
            await queue.add(message.type, body, options);
          });
          return;
        } catch (error) {
          if (!(error instanceof AppError && error.retryable)) throw error;
          hub.onFault(error);
        }
        await sleep(pause, undefined, { signal: ended }).catch(() => {
          // The loop's first line throws the signal's reason.
        });
      }
    },
    close() {
      closed.abort(new AppError('WORKER_STOPPING', 'The worker is closed.', { retryable: true }));
    },
  };
}
