import type { JobKind, Plan } from '@tarfleet/contracts';
import type { Database, JobDraft, JobRecord, Repositories } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { QueueJob, QueueProducer } from '@tarfleet/queue';
import type { PlanSigner } from '@tarfleet/vault';

/** A plan is good for this long after it was sent; a job that waits longer is refused by the worker. */
const PLAN_TTL_MS = 7 * 24 * 3600 * 1000;

/** One accepted request: its jobs, the services it needs for itself, and the records that go with it. */
export interface RunDraft {
  root: JobDraft;
  /** Artifacts of a backup. */
  children: JobDraft[];
  /** Services that no other backup or restore may touch meanwhile. */
  leases: string[];
  /** The run's other rows, in the same transaction, after the leases are taken and before the jobs are stored. */
  record(repositories: Repositories): Promise<void>;
}

export interface Dispatcher {
  /** Stores the run, then sends it. Once it is stored it is accepted: when the queue is down the reconciler sends it later. */
  submit(draft: RunDraft): Promise<void>;
  /** The first half of `submit`, in the caller's transaction: when it rejects, that must be undone. */
  store(tx: Repositories, draft: RunDraft): Promise<void>;
  /** The other half, once the caller's transaction is committed. Never rejects. */
  sendStored(draft: RunDraft): Promise<void>;
  /**
   * Sends what is stored, unless it has been sent or has ended meanwhile. Rejects when the queue is down. The job
   * is locked until the queue has it, so it cannot end and leave the queue before: it would run a second time.
   */
  send(root: Pick<JobRecord, 'id'>): Promise<void>;
}

export function createDispatcher(deps: {
  db: Database;
  queue: QueueProducer;
  signer: PlanSigner;
  logger: Logger;
}): Dispatcher {
  const { db, queue, signer, logger } = deps;

  const toQueueJob = async (job: Sendable, parentJobId?: string): Promise<QueueJob> => ({
    jobId: job.id,
    pool: job.pool,
    kind: job.kind,
    generation: job.generation,
    plan: await signer.sign(JSON.parse(job.plan) as Plan, PLAN_TTL_MS),
    ...(parentJobId === undefined ? {} : { parentJobId }),
  });

  const enqueue = async (root: Sendable, children: Sendable[]): Promise<void> => {
    const parent = await toQueueJob(root);
    if (children.length === 0) await queue.enqueue(parent);
    else await queue.enqueueFlow(parent, await Promise.all(children.map((one) => toQueueJob(one, root.id))));
  };
  const idsOf = (root: Sendable, children: Sendable[]): string[] => [root, ...children].map(({ id }) => id);

  const store: Dispatcher['store'] = async (tx, draft) => {
    await draft.record(tx);
    await tx.jobs.create([draft.root, ...draft.children]);
    await takeLeases(tx, draft);
  };
  const sendStored: Dispatcher['sendStored'] = async (draft) => {
    const first = (job: JobDraft): Sendable => ({ ...job, generation: 1 });
    try {
      const [root, children] = [first(draft.root), draft.children.map(first)];
      await enqueue(root, children);
      await db.jobs.markDispatched(idsOf(root, children));
    } catch (error) {
      logger.warn({ err: error, jobId: draft.root.id }, 'queue is down, the job is sent later');
    }
  };

  return {
    async submit(draft) {
      await db.transaction((tx) => store(tx, draft));
      await sendStored(draft);
    },
    store,
    sendStored,
    async send({ id }) {
      await db.transaction(async (tx) => {
        const root = await tx.jobs.lock(id);
        if (!root || root.endedAt !== null || root.dispatchedAt !== null) return;
        if (root.afterId !== null && !(await tx.jobs.get(root.afterId))?.endedAt) return;
        const children = root.kind === 'backup' ? await tx.jobs.children(id) : [];
        await enqueue(root, children);
        await tx.jobs.markDispatched(idsOf(root, children));
      });
    },
  };
}

interface Sendable {
  id: string;
  pool: string;
  kind: JobKind;
  generation: number;
  plan: string;
}

async function takeLeases(tx: Repositories, { root, leases }: RunDraft): Promise<void> {
  if (leases.length === 0) return;
  const [taken] = await tx.leases.take(root.id, root.kind, leases);
  if (!taken) return;
  const backingUp = taken.kind === 'backup';
  throw new AppError(
    backingUp ? 'BACKUP_IN_PROGRESS' : 'RESTORE_IN_PROGRESS',
    `A ${taken.kind} of the same service, or of one that depends on it, is running (job ${taken.jobId}). Wait until it has ended, or cancel it.`,
    { details: { job_id: taken.jobId, service_id: taken.serviceId } },
  );
}
