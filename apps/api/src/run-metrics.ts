import type { Database, JobRecord } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import { Counter, Gauge, Histogram, type Registry } from 'prom-client';

export interface RunMetrics {
  register(registry: Registry): void;
  /** Counts a job that this process recorded as ended. */
  ended(job: JobRecord): void;
}

/** Figures of jobs: how many wait and run, how long they took, how many bytes they stored. */
export function createRunMetrics(deps: {
  db: Pick<Database, 'jobs' | 'workers'>;
  queue: Pick<QueueProducer, 'depth'>;
  pools: string[];
  logger: Logger;
}): RunMetrics {
  const durations = new Histogram({
    name: 'tarfleet_job_duration_seconds',
    help: 'Time from a job’s first attempt to its end, as recorded by this process',
    labelNames: ['kind', 'state'],
    buckets: [0.1, 0.5, 1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600],
    registers: [],
  });
  const stored = new Counter({
    name: 'tarfleet_stored_bytes_total',
    help: 'Bytes of archives stored, as recorded by this process',
    registers: [],
  });
  const restored = new Counter({
    name: 'tarfleet_restored_bytes_total',
    help: 'Bytes of files restored, as recorded by this process',
    registers: [],
  });
  const depth = new Gauge({
    name: 'tarfleet_queue_jobs',
    help: 'Jobs in the queue by pool, kind and state',
    labelNames: ['pool', 'kind', 'state'],
    registers: [],
    async collect() {
      try {
        const queues = await deps.queue.depth(deps.pools);
        this.reset();
        for (const { pool, kind, waitingChildren, ...counts } of queues) {
          const states = { ...counts, waiting_children: waitingChildren };
          for (const [state, count] of Object.entries(states)) this.set({ pool, kind, state }, count);
        }
      } catch (error) {
        // The other figures are still worth having; that the queue is down, /readyz says.
        deps.logger.warn({ err: error }, 'queue depth unknown');
        this.reset();
      }
    },
  });
  const all = [durations, stored, restored, depth];
  return {
    register(registry) {
      for (const metric of all) registry.registerMetric(metric);
    },
    ended(job) {
      if (job.startedAt && job.endedAt) {
        const seconds = Math.max(0, (job.endedAt.getTime() - job.startedAt.getTime()) / 1000);
        durations.observe({ kind: job.kind, state: job.state }, seconds);
      }
      if (job.result?.kind === 'artifact') stored.inc(job.result.storedBytes);
      if (job.result?.kind === 'restore') restored.inc(job.result.bytesRestored);
    },
  };
}
