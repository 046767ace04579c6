import type { Failure, RestorePlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import { type End, failureOf } from './end.ts';
import { servicesNotThere } from './nothing-there.ts';

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
  const complete = end.state === 'completed';
  const notThere = complete || calledOff ? null : await servicesNotThere(tx, job, end);
  for (const { id } of await tx.jobs.followers(job.id)) {
    const follower = await tx.jobs.lock(id);
    if (!follower || follower.endedAt !== null) continue;
    if (!calledOff && (complete || notThere || follower.afterAnyEnd)) {
      await tx.leases.handOver(job.id, follower);
      if (follower.kind === 'restore') {
        await tx.restores.change(id, { currentStep: 'Waiting for a worker' });
        // Who wants it after any end wants it also where something is that nobody saved.
        if (notThere && !follower.afterAnyEnd) await noteUnsaved(tx, follower, notThere);
        if (!complete) await noteWithout(tx, id, end, notThere !== null);
      }
      continue;
    }
    const state = calledOff ? 'cancelled' : 'failed';
    const failure = whyNot(job, end, calledOff);
    refused.push({ job: follower, end: { state, at: end.at, result: null, failure } });
  }
  return refused;
}

/** The plan is not sent, nor signed, before this is committed. */
async function noteUnsaved(tx: Repositories, { id, plan }: JobRecord, unsaved: string[]): Promise<void> {
  await tx.jobs.change(id, { plan: JSON.stringify({ ...(JSON.parse(plan) as RestorePlan), unsaved }) });
}

/** The restore's own log says that it has no whole backup of what it replaces. */
async function noteWithout(tx: Repositories, id: string, end: End, nothingThere: boolean): Promise<void> {
  const why = nothingThere ? 'what it lacks was not there any more' : whyFailed(end).message;
  await tx.restores.recordStep(id, {
    ...{ number: 0, name: 'emergency_backup', status: nothingThere ? 'skipped' : 'failed', at: end.at },
    message: `The restore goes on after an emergency backup that is ${end.state}: ${why}`,
  });
}

function whyFailed(end: End): Pick<Failure, 'code' | 'message'> {
  if (end.state !== 'partial') return failureOf(end);
  return { code: 'BACKUP_INCOMPLETE', message: 'some services could not be backed up.' };
}

function whyNot({ id, kind }: JobRecord, end: End, calledOff: boolean): Failure {
  const what = kind === 'backup' ? 'The emergency backup' : `The ${kind} before it`;
  if (calledOff) {
    return {
      ...{ code: 'CANCELLED', retryable: false },
      message: `${what} (${id}) was cancelled, so nothing was restored or changed.`,
    };
  }
  const { code, message } = whyFailed(end);
  const hint = kind === 'backup' ? ' To begin without it, send "emergency_backup":"attempt".' : '';
  return {
    ...{ code, retryable: false },
    message: `${what} (${id}) is ${end.state}, so nothing was restored or changed: ${message}${hint}`,
  };
}
