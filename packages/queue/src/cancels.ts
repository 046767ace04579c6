import { createParser } from '@tarfleet/contracts';
import { Type } from 'typebox';
import { withDeadline } from './deadline.ts';
import type { Hub } from './hub.ts';
import { decodeValue, encodeValue } from './job-data.ts';
import { CANCELS_QUEUE, cancelId } from './names.ts';

/** A record older than this belongs to a job that ended long ago without anybody clearing up. */
const KEEP_MS = 30 * 24 * 3_600_000;
const CLEAN_EVERY_MS = 6 * 3_600_000;

const parseRecord = createParser(
  Type.Object({ jobId: Type.String(), reason: Type.String(), createdAt: Type.String() }),
);

/** Leaves the record of a cancel; a second one for the same job changes nothing. */
export async function addCancel(hub: Hub, jobId: string, reason: string): Promise<void> {
  const queue = await hub.queue(CANCELS_QUEUE);
  const body = encodeValue({ jobId, reason, createdAt: new Date().toISOString() });
  await queue.add(
    'cancel',
    { body },
    { jobId: cancelId(jobId), removeOnComplete: false, removeOnFail: false },
  );
}

export async function removeCancel(hub: Hub, jobId: string): Promise<void> {
  const queue = await hub.queue(CANCELS_QUEUE);
  await queue.remove(cancelId(jobId), { removeChildren: false });
}

/** Sees the cancels of the jobs that run in this process. */
export interface CancelWatch {
  /** The reason of a cancel of any of these jobs that is recorded now; null where there is none. */
  find(jobIds: string[]): Promise<string | null>;
  /** Calls back once, when a cancel of any of these jobs shows up. Returns what ends the watch. */
  watch(jobIds: string[], onCancel: (reason: string) => void): () => void;
  close(): void;
}

/** While anything is watched, lists the records every `cancelPollMs`: one call, however many jobs run. */
export function createCancelWatch(hub: Hub): CancelWatch {
  interface Watched {
    ids: string[];
    onCancel: (reason: string) => void;
  }
  const { cancelPollMs, callMs } = hub.settings;
  const watched = new Set<Watched>();
  let timer: NodeJS.Timeout | undefined;
  let cleanAt = 0;

  const list = async (): Promise<Set<string>> => {
    const queue = await hub.queue(CANCELS_QUEUE);
    return new Set(await queue.getRanges(['wait'], 0, -1));
  };
  let running: Promise<Set<string>> | undefined;
  let following: Promise<Set<string>> | undefined;
  const startList = (): Promise<Set<string>> => {
    const current = list().finally(() => {
      if (running === current) running = undefined;
    });
    running = current;
    return current;
  };
  /** A listing that began after this call; those who ask while one runs share the one after it. */
  const freshList = (): Promise<Set<string>> => {
    if (!running) return startList();
    following ??= running.then(
      () => begin(),
      () => begin(),
    );
    return following;
  };
  const begin = (): Promise<Set<string>> => {
    following = undefined;
    return startList();
  };
  const match = async (ids: string[], recorded: Set<string>): Promise<string | null> => {
    const id = ids.map(cancelId).find((candidate) => recorded.has(candidate));
    if (id === undefined) return null;
    const job = await (await hub.queue(CANCELS_QUEUE)).getJob(id);
    // Cleared between the two calls.
    if (!job) return null;
    const record = parseRecord(decodeValue((job.data as { body?: unknown } | null)?.body));
    return record.ok ? record.value.reason : 'The job was cancelled.';
  };
  const poll = async (): Promise<void> => {
    const recorded = await freshList();
    for (const entry of [...watched]) {
      const reason = await match(entry.ids, recorded);
      if (reason !== null && watched.delete(entry)) entry.onCancel(reason);
    }
    if (Date.now() > cleanAt) {
      cleanAt = Date.now() + CLEAN_EVERY_MS;
      await (await hub.queue(CANCELS_QUEUE)).clean(KEEP_MS, 1_000, 'wait');
    }
  };
  const schedule = (): void => {
    timer ??= setTimeout(() => {
      // A queue that is down now is asked again at the next turn.
      withDeadline(callMs, poll)
        .catch(hub.onFault)
        .finally(() => {
          timer = undefined;
          if (watched.size > 0) schedule();
        });
    }, cancelPollMs);
  };

  return {
    find: (jobIds) => withDeadline(callMs, async () => match(jobIds, await freshList())),
    watch(jobIds, onCancel) {
      const entry = { ids: jobIds, onCancel };
      watched.add(entry);
      schedule();
      return () => watched.delete(entry);
    },
    close() {
      watched.clear();
      clearTimeout(timer);
    },
  };
}
