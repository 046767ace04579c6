import type { Failure, RestorePlan, RollbackPlan } from '@tarfleet/contracts';
import type { JobRecord } from '@tarfleet/db';
import type { QueueProducer, QueueState } from '@tarfleet/queue';

/** So often is a job given to the workers that did not come to its end. */
export const MOST_GENERATIONS = 20;
const FIRST_PAUSE_MS = 5_000;
const LONGEST_PAUSE_MS = 3_600_000;

type Job = Pick<JobRecord, 'id' | 'kind' | 'pool' | 'startedAt' | 'generation' | 'dispatchedAt'>;

/**
 * Whether this is a restore or rollback that a worker may have begun: then services may stand still and files be half
 * in place, and only a worker can end it, by going on or by undoing. A queue that has lost it cannot say that nobody
 * had taken it; neither can the events, which went the same way.
 */
export async function mayHaveChangedServer(
  queue: Pick<QueueProducer, 'hasBegun'>,
  job: Job,
  found: QueueState,
): Promise<boolean> {
  const { id: jobId, kind, pool, startedAt, generation, dispatchedAt } = job;
  if (kind !== 'restore' && kind !== 'rollback') return false;
  if (startedAt !== null || generation > 1) return true;
  return found.state === 'missing' ? dispatchedAt !== null : queue.hasBegun({ jobId, pool, kind });
}

/** Before a job is sent again that failed without an end, in milliseconds: doubles up to an hour, half a day in all. */
export function pauseAfter(generation: number): number {
  return Math.min(LONGEST_PAUSE_MS, FIRST_PAUSE_MS * 2 ** (generation - 1));
}

/** What a person has to know when all tries came to no end. */
export function unresolved({ kind, plan: text }: Pick<JobRecord, 'kind' | 'plan'>, last: Failure): Failure {
  const plan = JSON.parse(text) as RestorePlan | RollbackPlan;
  const id = plan.kind === 'restore' ? plan.jobId : plan.restoreJobId;
  const names = plan.services.map(({ name }) => name).join(', ');
  const look =
    names === ''
      ? 'It had no services to stop.'
      : `Look whether these services run, and whether their files are right: ${names}.`;
  return {
    code: 'WORKER_LOST',
    message: `The ${kind} came to no end on the server ${plan.server.name}, though it was taken up ${MOST_GENERATIONS} times; the last time: ${last.message} What it left there is not known. ${look} What it had done stands in /var/lib/tarfleet/restores/${id} on that server (~/.tarfleet/restores/${id} for a user who is not root).`,
    retryable: false,
  };
}
