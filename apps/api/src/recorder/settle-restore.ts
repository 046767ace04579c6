import type { RestorePlan, ResultOf } from '@tarfleet/contracts';
import type { JobRecord, Repositories, RestoreRecord } from '@tarfleet/db';
import { type End, failureOf } from './end.ts';
import { rollbackOf } from './restore-steps.ts';

const HOUR_MS = 3600 * 1000;
/** The pause before a way back is to be removed again doubles up to a day. */
const MOST_DOUBLINGS = 5;

/** Closes a restore: its own row, its steps, its leases, and until when its way back is kept. */
export async function settleRestore(tx: Repositories, job: JobRecord, end: End): Promise<void> {
  await tx.leases.release(job.id);
  await tx.restores.interruptSteps(job.id, end.at);
  const result = end.result?.kind === 'restore' ? end.result : null;
  // One whose files are in place has a way back, also where something else failed.
  if (result?.outcome === 'restored') {
    const done = end.state === 'completed';
    const { keepHours } = JSON.parse(job.plan) as RestorePlan;
    const expiresAt = result.rollbackPath === null ? null : after(end.at, keepHours * HOUR_MS);
    await tx.restores.change(job.id, {
      status: done ? 'completed' : 'failed',
      progressPercentage: 100,
      currentStep: done ? 'Restore completed successfully' : 'Restore failed: the files are restored',
      ...(done ? {} : { errorMessage: failureOf(end).message }),
      servicesRestored: result.restored,
      rollbackPath: result.rollbackPath,
      rollbackExpiresAt: expiresAt,
      forgetAfter: expiresAt,
      completedAt: end.at,
    });
    if (job.backupId !== null) await tx.backups.countRestore(job.backupId, end.at);
    return;
  }
  const cancelled = end.state === 'cancelled';
  const rolledBack = result?.outcome === 'rolled_back';
  const { message } = failureOf(end);
  const restore = await tx.restores.get(job.id);
  await tx.restores.change(job.id, {
    status: rolledBack ? 'rolled_back' : 'failed',
    currentStep: currentStepOf(cancelled, rolledBack),
    errorMessage: cancelled && !/^cancelled/i.test(message) ? `Cancelled: ${message}` : message,
    servicesRestored: result?.restored ?? [],
    // Before anything was unpacked no service has failed more than the others.
    servicesFailed: result?.failed.length ? failedOf(result) : (restore?.servicesToRestore ?? []),
    // What failed half-way may be all that there is of the old files: it stays until somebody has decided.
    rollbackPath: result?.outcome === 'failed' ? result.rollbackPath : null,
    rollbackExpiresAt: null,
    forgetAfter: null,
    completedAt: end.at,
  });
}

/** Closes a rollback, or the removal of a way back: the row of the restore that it was about, and the leases. */
export async function settleRollback(tx: Repositories, job: JobRecord, end: End): Promise<void> {
  await tx.leases.release(job.id);
  const about = rollbackOf(job);
  const restore = about && (await tx.restores.lock(about.restoreJobId));
  if (!about || !restore) return;
  await tx.restores.interruptSteps(restore.id, end.at);
  const done = end.state === 'completed' && end.result?.kind === 'rollback';
  if (about.action === 'forget') await settleForget(tx, restore, done, end.at);
  else await settleUndo(tx, restore, job, done, end);
}

async function settleUndo(
  tx: Repositories,
  restore: RestoreRecord,
  job: JobRecord,
  done: boolean,
  end: End,
): Promise<void> {
  const { message } = failureOf(end);
  const steps = await tx.restores.steps(restore.id);
  await tx.restores.recordStep(restore.id, {
    number: Math.max(0, ...steps.map(({ stepNumber }) => stepNumber)) + 1,
    name: 'rollback',
    status: done ? 'completed' : 'failed',
    message: done ? 'Rolled back to the state before the restore' : `Not rolled back: ${message}`,
    details: { rollback_job_id: job.id },
    at: end.at,
  });
  await tx.restores.change(
    restore.id,
    done
      ? {
          ...{ status: 'rolled_back', currentStep: 'Rolled back on request' },
          ...{ rollbackPath: null, rollbackExpiresAt: null, forgetAfter: null },
        }
      : { errorMessage: `Not rolled back: ${message}` },
  );
}

async function settleForget(
  tx: Repositories,
  { id, forgetTries }: RestoreRecord,
  done: boolean,
  at: Date,
): Promise<void> {
  if (done) {
    await tx.restores.change(id, { rollbackPath: null, rollbackExpiresAt: null, forgetAfter: null });
  } else {
    await postponeForget(tx, { id, forgetTries }, at);
  }
}

/** Removing a way back failed: the next try is after a pause that doubles. */
export async function postponeForget(
  tx: Pick<Repositories, 'restores'>,
  { id, forgetTries }: Pick<RestoreRecord, 'id' | 'forgetTries'>,
  at: Date,
): Promise<void> {
  const pause = Math.min(24, 2 ** Math.min(forgetTries, MOST_DOUBLINGS)) * HOUR_MS;
  await tx.restores.change(id, { forgetTries: forgetTries + 1, forgetAfter: after(at, pause) });
}

function failedOf(result: ResultOf<'restore'>): string[] {
  return result.failed.map(({ service }) => service);
}

function currentStepOf(cancelled: boolean, rolledBack: boolean): string {
  const first = cancelled ? 'Cancelled' : 'Restore failed';
  return rolledBack ? `${first}, rolled back to the previous state` : first;
}

function after(at: Date, ms: number): Date {
  return new Date(at.getTime() + ms);
}
