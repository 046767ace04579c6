import type { JobRecord } from '@tarfleet/db';
import { endJob } from './end-job.ts';
import { BATCH, forEach, type ReconcilerOptions } from './reconciler-options.ts';

/** Without a heartbeat for so long a worker is gone. */
const ALIVE_MS = 30_000;

/**
 * Ends tests of destinations that no worker took in time: somebody waits for their answer, and a pool without workers
 * gives none.
 */
export async function endUntaken(options: ReconcilerOptions): Promise<void> {
  const before = new Date(Date.now() - options.testWaitsMs);
  const jobs = await options.db.jobs.unbegun('destination-test', before, BATCH);
  await forEach(options, jobs, (job) => endOne(options, job));
}

async function endOne(options: ReconcilerOptions, job: JobRecord): Promise<void> {
  const { db, queue, testWaitsMs } = options;
  const { id: jobId, pool, kind } = job;
  const ref = { jobId, pool, kind };
  const { state } = await queue.state(ref);
  // What a worker has taken meanwhile comes to its own end.
  if (!(state === 'waiting' || state === 'delayed') || !(await queue.remove(ref))) return;
  const since = new Date(Date.now() - ALIVE_MS);
  const alive = (await db.workers.list({ since, pool })).filter(({ stopping }) => !stopping).length;
  const why =
    alive === 0 ? 'none runs' : `${alive} of them ${alive === 1 ? 'runs, and is' : 'run, and are'} busy`;
  await endJob(options, job, {
    state: 'failed',
    result: null,
    failure: {
      code: 'UNAVAILABLE',
      message: `No worker of the pool ${pool} began the test within ${Math.ceil(testWaitsMs / 1000)} seconds: ${why} (GET /api/workers). Start one, or name another pool.`,
      retryable: true,
    },
  });
}
