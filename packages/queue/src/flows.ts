import { AppError } from '@tarfleet/kernel';
import type { Hub } from './hub.ts';
import { jobData, jobOptions } from './job-data.ts';
import { queueName } from './names.ts';
import type { JobRef, QueueJob } from './types.ts';

/**
 * Adds a parent and its children at once. One that is there already is left alone, since it was added whole.
 * A child that is left over, failed, from a parent that was lost is taken away first: Redis would let the new
 * parent wait for it for ever.
 */
export async function addFlow(hub: Hub, parent: QueueJob, children: QueueJob[]): Promise<void> {
  const parentQueue = await hub.queue(queueName(parent));
  if (children.length === 0) {
    await parentQueue.add(parent.kind, jobData(parent), jobOptions(parent.jobId, hub.settings));
    return;
  }
  const flow = {
    ...flowNode(hub, parent),
    children: children.map((child) => {
      const node = flowNode(hub, child);
      return { ...node, opts: { ...node.opts, ignoreDependencyOnFailure: true } };
    }),
  };
  if ((await parentQueue.getJobState(parent.jobId)) !== 'unknown') return;
  await Promise.all(children.map((child) => removeFailed(hub, child)));
  const producer = await hub.flows();
  try {
    await producer.add(flow);
  } catch (error) {
    // Redis runs a transaction to its end when one entry of it is refused. Half a flow must not run.
    await parentQueue.remove(parent.jobId, { removeChildren: true }).catch(hub.onFault);
    throw error;
  }
}

function flowNode(hub: Hub, job: QueueJob) {
  return {
    name: job.kind,
    queueName: queueName(job),
    data: jobData(job),
    opts: jobOptions(job.jobId, hub.settings),
  };
}

async function removeFailed(hub: Hub, ref: JobRef): Promise<void> {
  const queue = await hub.queue(queueName(ref));
  if ((await queue.getJobState(ref.jobId)) === 'failed') {
    await queue.remove(ref.jobId, { removeChildren: false });
  }
}

/**
 * Takes the children away one by one: BullMQ's own `removeUnprocessedChildren` leaves their records behind on
 * Postgres, and the parent could never end.
 */
export async function removeWaitingChildren(hub: Hub, ref: JobRef): Promise<void> {
  const queue = await hub.queue(queueName(ref));
  const parent = await queue.getJob(ref.jobId);
  if (!parent) throw new AppError('NOT_FOUND', 'The job is not in the queue.');
  const { unprocessed = [] } = await parent.getDependencies();
  for (const key of unprocessed) {
    const child = queue.getBackend().parseNodeKey(key);
    const childQueue = await hub.queue(child.queueName);
    const state = await childQueue.getJobState(child.id);
    if (state === 'active') continue;
    // Refused, with 0, when a worker has taken it meanwhile.
    await childQueue.remove(child.id, { removeChildren: false });
  }
}
