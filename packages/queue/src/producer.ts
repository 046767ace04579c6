import { JOB_KINDS, type JobKind } from '@tarfleet/contracts';
import { addCancel, removeCancel } from './cancels.ts';
import { withDeadline } from './deadline.ts';
import { addFlow, removeWaitingChildren } from './flows.ts';
import { type Hub, openHub } from './hub.ts';
import { decodeValue, jobData, jobOptions } from './job-data.ts';
import { queueName } from './names.ts';
import type { QueueOptions } from './settings.ts';
import type { JobRef, QueueDepth, QueueProducer, QueueState } from './types.ts';

/** Connects the API to the queue. Rejects as `createQueueWorker` does. */
export async function createQueueProducer(options: QueueOptions): Promise<QueueProducer> {
  const hub = await openHub(options);
  const { settings } = hub;
  const limited = <T>(call: () => Promise<T>): Promise<T> => withDeadline(settings.callMs, call);
  return {
    enqueue: (job) =>
      limited(async () => {
        const data = jobData(job);
        const queue = await hub.queue(queueName(job));
        await queue.add(job.kind, data, jobOptions(job.jobId, settings));
      }),
    enqueueFlow: (parent, children) => limited(() => addFlow(hub, parent, children)),
    state: (ref) => limited(() => readState(hub, ref)),
    hasBegun: (ref) =>
      limited(async () => {
        const job = await (await hub.queue(queueName(ref))).getJob(ref.jobId);
        return (job?.attemptsStarted ?? 0) > 0;
      }),
    remove: (ref) => limited(() => removeJob(hub, ref)),
    removeWaitingChildren: (ref) => limited(() => removeWaitingChildren(hub, ref)),
    requestCancel: (jobId, reason) => limited(() => addCancel(hub, jobId, reason)),
    clearCancel: (jobId) => limited(() => removeCancel(hub, jobId)),
    depth: (pools) =>
      limited(() =>
        Promise.all(pools.flatMap((pool) => JOB_KINDS.map((kind) => readDepth(hub, pool, kind)))),
      ),
    ping: () => hub.ping(),
    close: () => hub.close(),
  };
}

async function readState(hub: Hub, ref: JobRef): Promise<QueueState> {
  const queue = await hub.queue(queueName(ref));
  const state = await queue.getJobState(ref.jobId);
  switch (state) {
    case 'active':
    case 'delayed':
    case 'waiting-children':
      return { state };
    case 'waiting':
    case 'prioritized':
      return { state: 'waiting' };
    case 'completed':
    case 'failed': {
      // Read after the state, so that a job found ended has its end with it.
      const job = await queue.getJob(ref.jobId);
      if (!job) return { state: 'missing' };
      return state === 'completed'
        ? { state, result: decodeValue(job.returnvalue) }
        : { state, reason: job.failedReason ?? '' };
    }
    default:
      return { state: 'missing' };
  }
}

async function removeJob(hub: Hub, ref: JobRef): Promise<boolean> {
  const queue = await hub.queue(queueName(ref));
  const removed = await queue.remove(ref.jobId, { removeChildren: true });
  // Postgres answers 0 for a job that is not there, too.
  return removed > 0 || (await queue.getJobState(ref.jobId)) === 'unknown';
}

async function readDepth(hub: Hub, pool: string, kind: JobKind): Promise<QueueDepth> {
  const queue = await hub.queue(queueName({ pool, kind }));
  const counts = await queue.getJobCounts();
  const count = (name: string): number => counts[name] ?? 0;
  return {
    pool,
    kind,
    waiting: count('waiting') + count('prioritized'),
    active: count('active'),
    delayed: count('delayed'),
    waitingChildren: count('waiting-children'),
    completed: count('completed'),
    failed: count('failed'),
  };
}
