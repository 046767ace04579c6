import type { WorkerRecord } from '@tarfleet/db';

/** Six heartbeats of the default rhythm. */
const LOST_MS = 30_000;

export function workerView(worker: WorkerRecord, now: number, withJobs: boolean) {
  const lost = now - worker.lastSeenAt.getTime() > LOST_MS;
  return {
    id: worker.id,
    host: worker.host,
    pid: worker.pid,
    pool: worker.pool,
    version: worker.version,
    state: lost ? ('lost' as const) : worker.stopping ? ('stopping' as const) : ('alive' as const),
    started_at: worker.startedAt.toISOString(),
    last_seen_at: worker.lastSeenAt.toISOString(),
    jobs_running: worker.jobs.length,
    // Other projects' work is nobody else's business.
    jobs: withJobs ? worker.jobs.map(({ jobId, kind, since }) => ({ id: jobId, kind, since })) : [],
  };
}
