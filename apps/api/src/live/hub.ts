import { listenToJobs } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';

export interface LiveHub {
  /** Calls back after each change of the job, in any process, until the returned function is called. A call may come for nothing. */
  subscribe(jobId: string, onChange: () => void): () => void;
  /** Aborted when the process stops: long answers then end. */
  readonly closing: AbortSignal;
  close(): Promise<void>;
}

/** One database connection tells this process of every job that changed; those who look at one job are woken. */
export function createLiveHub(options: { databaseUrl: string; logger: Logger }): LiveHub {
  const watchers = new Map<string, Set<() => void>>();
  const closing = new AbortController();
  const listener = listenToJobs({
    url: options.databaseUrl,
    logger: options.logger,
    onJob: (id) => {
      for (const wake of watchers.get(id) ?? []) wake();
    },
    onGap: () => {
      for (const group of watchers.values()) for (const wake of group) wake();
    },
  });
  return {
    closing: closing.signal,
    subscribe(jobId, onChange) {
      const group = watchers.get(jobId) ?? new Set();
      watchers.set(jobId, group);
      group.add(onChange);
      return () => {
        group.delete(onChange);
        if (group.size === 0) watchers.delete(jobId);
      };
    },
    async close() {
      closing.abort();
      await listener.close();
    },
  };
}
