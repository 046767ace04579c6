import { setTimeout as sleep } from 'node:timers/promises';
import { settledWithin } from './deadline.ts';
import type { FaultLog } from './fault-log.ts';
import type { JobEvents } from './hub.ts';

/** Reads a queue's progress events until the returned function is called, over any number of outages. */
export function listenTo(
  stream: JobEvents,
  onProgress: (jobId: string, data: unknown) => void,
  onFault: FaultLog,
): () => Promise<void> {
  const closed = new AbortController();
  stream.on('progress', ({ jobId, data }) => onProgress(jobId, data));
  const read = async (): Promise<void> => {
    while (!closed.signal.aborted) {
      try {
        // Ends when the stream is closed; a fault in its first steps, or an event it cannot read, also ends it.
        await stream.run();
      } catch (error) {
        onFault(error);
      }
      await sleep(1_000, undefined, { signal: closed.signal }).catch(() => {
        // The loop's condition ends it.
      });
    }
  };
  void read();
  return async () => {
    closed.abort();
    // BullMQ waits for the socket's end, which never comes while it is between two connections.
    await settledWithin(2_000, stream.close());
  };
}
