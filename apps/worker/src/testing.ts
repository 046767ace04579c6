import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { EventBatch, JobEvent, JobKind } from '@tarfleet/contracts';
import { createLogger } from '@tarfleet/kernel';
import { createStorage, type Storage } from '@tarfleet/storage';
import type { JobContext } from './job-context.ts';
import { createReporter } from './jobs/reporter.ts';

export const silent = createLogger({ level: 'silent', process: 'test' });
export const uuid = (n: number): string => `0190f6c0-0000-7000-8000-${String(n).padStart(12, '0')}`;

/** A local destination in a folder of its own. */
export async function openTestStorage() {
  const path = await mkdtemp(join(tmpdir(), 'tarfleet-worker-'));
  const target = { id: uuid(900), name: 'local', type: 'local', config: { path } } as const;
  const open = (): Storage =>
    createStorage(target, null, { localAllowed: true, localRoots: [path], logger: silent });
  const storage = open();
  const never = new AbortController().signal;
  return {
    ...{ path, target, open, storage },
    /** Every key below the prefix, sorted. */
    async keys(prefix: string): Promise<string[]> {
      const found: string[] = [];
      for await (const { key } of storage.list(prefix, never)) found.push(key);
      return found.sort();
    },
    async close() {
      await storage.close();
      await rm(path, { recursive: true, force: true });
    },
  };
}

/** A reporter whose events are kept. */
export function keepingReporter(kind: JobKind = 'backup') {
  const batches: EventBatch[] = [];
  const report = createReporter({
    ...{ jobId: uuid(1), kind, attempt: 1001, token: 'abcdefabcdef' },
    publish: async (batch) => void batches.push(batch),
  });
  const events = (): JobEvent[] => batches.flatMap((batch) => batch.events);
  return { report, batches, events };
}

export type TestDelivery = JobContext['delivery'];
