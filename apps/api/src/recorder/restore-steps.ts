import type { JobEvent, RollbackPlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories, RestoreStatus } from '@tarfleet/db';

/** Document 1's states, by the step that brings them about. */
const RESTORE_STATES: Record<string, RestoreStatus> = {
  connect: 'preparing',
  read_records: 'preparing',
  preflight: 'preparing',
  prepare_data: 'preparing',
  create_rollback: 'preparing',
  verify_integrity: 'verifying',
  stop_services: 'stopping_services',
  restore_data: 'restoring',
  restart_services: 'restarting_services',
  health_checks: 'restarting_services',
};

/** What a rollback's job is about; null for jobs of other kinds. */
export function rollbackOf(
  job: Pick<JobRecord, 'kind' | 'plan'>,
): Pick<RollbackPlan, 'action' | 'restoreJobId'> | null {
  return job.kind === 'rollback' ? (JSON.parse(job.plan) as RollbackPlan) : null;
}

/** A worker has begun a restore or a rollback: what an earlier attempt had in hand it has no more. */
export async function beginRestore(tx: Repositories, job: JobRecord, at: Date): Promise<void> {
  if (job.kind === 'restore') {
    await tx.restores.change(job.id, { status: 'preparing', startedAt: job.startedAt ?? at });
  }
  const id = restoreIdOf(job);
  if (id !== null && job.startedAt !== null) await tx.restores.interruptSteps(id, at);
}

/** Steps of a restore, and of the rollback of one, are in the restore's audit log. */
export async function recordRestoreStep(
  tx: Repositories,
  job: JobRecord,
  event: Extract<JobEvent, { type: 'step' }>,
): Promise<void> {
  const id = restoreIdOf(job);
  if (id === null) return;
  const { number, name, status, message, details } = event;
  await tx.restores.recordStep(id, { number, name, status, message, details, at: new Date(event.at) });
  if (job.kind !== 'restore' || status !== 'started') return;
  const state = RESTORE_STATES[name];
  await tx.restores.change(id, {
    currentStep: message.slice(0, 255),
    ...(state === undefined ? {} : { status: state }),
  });
}

function restoreIdOf(job: JobRecord): string | null {
  return job.kind === 'restore' ? job.id : (rollbackOf(job)?.restoreJobId ?? null);
}
