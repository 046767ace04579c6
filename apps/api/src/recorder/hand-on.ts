import type { Failure } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import { type End, failureOf } from './end.ts';

/** A job that waited for another, and how it ends because of that one's end. */
export interface Refused {
  job: JobRecord;
  end: End;
}

/**
 * What the end of a job means to the one that waits for it: what it holds on services goes over to that one, which may
 * be sent from the commit on; or that one ends too, by the caller, and nothing was handed on. In the transaction that
 * records the end, before leases are given back: so whatever dies, it has been dealt with or will be.
 */
export async function handOn(tx: Repositories, job: JobRecord, end: End): Promise<Refused[]> {
  const refused: Refused[] = [];
  for (const { id } of await tx.jobs.followers(job.id)) {
    const follower = await tx.jobs.lock(id);
    if (!follower || follower.endedAt !== null) continue;
    if (mayGoOn(follower, end)) {
      await tx.leases.handOver(job.id, follower);
      if (follower.kind === 'restore') {
        await tx.restores.change(id, { currentStep: 'Waiting for a worker' });
      }
      continue;
    }
    const state = end.state === 'cancelled' ? 'cancelled' : 'failed';
    refused.push({ job: follower, end: { state, at: end.at, result: null, failure: whyNot(job, end) } });
  }
  return refused;
}

/** A cancel says that somebody wants none of it. */
function mayGoOn({ afterAnyEnd }: JobRecord, { state }: End): boolean {
  return state === 'completed' || (afterAnyEnd && state !== 'cancelled');
}

function whyNot({ id, kind }: JobRecord, end: End): Failure {
  const partial = end.state === 'partial';
  const { code, message } = partial
    ? ({ code: 'BACKUP_INCOMPLETE', message: 'some services could not be backed up.' } as const)
    : failureOf(end);
  const what = kind === 'backup' ? 'The emergency backup' : `The ${kind} before it`;
  const how = partial ? 'partial' : end.state;
  return {
    ...{ code, retryable: false },
    message: `${what} (${id}) is ${how}, so nothing was restored or changed: ${message}`,
  };
}
