import { once } from 'node:events';
import type { ServerResponse } from 'node:http';
import type { Database, JobRecord } from '@tarfleet/db';
import { readProgress } from '../routes/jobs/progress.ts';
import { readTries } from '../routes/jobs/tries.ts';
import { viewEvent } from '../routes/jobs/view.ts';
import { changeSignal } from './change-signal.ts';
import type { LiveHub } from './hub.ts';

const PAGE = 200;
/** A comment this often keeps proxies from closing a silent stream, in milliseconds. */
const KEEP_ALIVE_MS = 15_000;

/**
 * Server-sent events of a job and its children: what is stored after `afterId` first, then live. Ends with an
 * `end` event when the job has ended. Writes no faster than the client reads; resolves when either side is done.
 */
export async function streamEvents(
  deps: { db: Database; hub: LiveHub },
  jobId: string,
  afterId: bigint,
  response: ServerResponse,
): Promise<void> {
  const gone = new AbortController();
  response.on('close', () => gone.abort());
  // A client that left before this listener was there is not told of again.
  if (response.destroyed) gone.abort();
  const signal = AbortSignal.any([gone.signal, deps.hub.closing]);
  const changes = changeSignal(deps.hub, jobId);
  let lastId = afterId;
  let lastProgress = '';

  const write = async (text: string): Promise<void> => {
    if (signal.aborted) return;
    if (!response.write(text)) await once(response, 'drain', { signal }).catch(() => undefined);
  };
  const sendStored = async (): Promise<void> => {
    for (;;) {
      const events = await deps.db.jobEvents.after(jobId, lastId, PAGE);
      const tryOf = await readTries(
        deps.db,
        jobId,
        events.map(({ attempt }) => attempt),
      );
      for (const stored of events) {
        const { type, data } = viewEvent(stored, tryOf);
        await write(`id: ${stored.id}\nevent: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
        lastId = stored.id;
      }
      if (events.length < PAGE || signal.aborted) return;
    }
  };
  const sendProgress = async (job: JobRecord): Promise<void> => {
    const progress = JSON.stringify(await readProgress(deps.db, job));
    if (progress === lastProgress) return;
    lastProgress = progress;
    await write(`event: progress\ndata: ${progress}\n\n`);
  };

  try {
    let quietSince = Date.now();
    while (!signal.aborted) {
      const job = await deps.db.jobs.get(jobId);
      if (!job) break;
      await sendStored();
      await sendProgress(job);
      if (job.endedAt !== null) {
        await write(`event: end\ndata: ${JSON.stringify({ job_id: jobId, state: job.state })}\n\n`);
        break;
      }
      await changes.next(signal, 2_000);
      if (Date.now() - quietSince > KEEP_ALIVE_MS) {
        await write(': still here\n\n');
        quietSince = Date.now();
      }
    }
  } finally {
    changes.stop();
    response.end();
  }
}
