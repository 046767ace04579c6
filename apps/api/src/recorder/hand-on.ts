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
  // A cancel says that somebody wants none of it, also when it came too late for the job itself.
  const calledOff = end.state === 'cancelled' || job.cancelRequestedAt !== null;
  for (const { id } of await tx.jobs.followers(job.id)) {
    const follower = await tx.jobs.lock(id);
    if (!follower || follower.endedAt !== null) continue;
    if (!calledOff && (end.state === 'completed' || follower.afterAnyEnd)) {
      await tx.leases.handOver(job.id, follower);
      if (follower.kind === 'restore') {
        await tx.restores.change(id, { currentStep: 'Waiting for a worker' });
      }
      continue;
    }
    const state = calledOff ? 'cancelled' : 'failed';
    const failure = whyNot(job, end, calledOff);
    refused.push({ job: follower, end: { state, at: end.at, result: null, failure } });
  }
  return refused;
}

function whyNot({ id, kind }: JobRecord, end: End, calledOff: boolean): Failure {
  const what = kind === 'backup' ? 'The emergency backup' : `The ${kind} before it`;
  if (calledOff) {
    return {
      ...{ code: 'CANCELLED', retryable: false },
      message: `${what} (${id}) was cancelled, so nothing was restored or changed.`,
    };
  }
  const partial = end.state === 'partial';
  const { code, message } = partial
    ? ({ code: 'BACKUP_INCOMPLETE', message: 'some services could not be backed up.' } as const)
    : failureOf(end);
  const how = partial ? 'partial' : end.state;
  return {
    ...{ code, retryable: false },
    message: `${what} (${id}) is ${how}, so nothing was restored or changed: ${message}`,
  };
}
