import type { JobEvent, RestorePlan } from '@tarfleet/contracts';
import type { JobRecord, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { End } from '../end.ts';
import { applyRecords } from './apply-records.ts';
import { noticesOf } from './notices.ts';
import { readStaged } from './read-staged.ts';

/** Holds what a restore hands back of the project's own records until it ends. */
export async function stageRecords(
  tx: Repositories,
  job: JobRecord,
  { from, records, seq }: Extract<JobEvent, { type: 'records' }>,
): Promise<void> {
  if (wishOf(job)) await tx.restoredRecords.stage(job.id, from, records);
  // They are kept elsewhere, and would outgrow all other events.
  await tx.jobEvents.forget(job.id, job.attempt, seq);
}

/**
 * In the transaction that records a restore's end: the project's own records have their effect when it has completed,
 * all of them or none. Gives the end as it is then: a restore whose records could not be applied has failed.
 */
export async function settleProjectRecords(tx: Repositories, job: JobRecord, end: End): Promise<End> {
  if (job.kind !== 'restore') return end;
  const plan = JSON.parse(job.plan) as RestorePlan;
  if (!plan.records || end.state !== 'completed' || end.result?.kind !== 'restore') {
    await tx.restoredRecords.unstage(job.id);
    return end;
  }
  const settled = await settleStaged(tx, job, end, { plan, count: end.result.records, at: end.at });
  await tx.restoredRecords.unstage(job.id);
  return settled;
}

async function settleStaged(
  tx: Repositories,
  job: JobRecord,
  end: End,
  what: Parameters<typeof apply>[2],
): Promise<End> {
  try {
    const notices = await tx.restoredRecords.attempt(() => apply(tx, job, what));
    await tx.restores.noteRecords(job.id, notices);
    await tell(tx, job, 'completed', notices.join(' '), end.at);
    return end;
  } catch (error) {
    if (!(error instanceof AppError) || error.retryable) throw error;
    const why = error.message.replace(/\.$/, '');
    const message = `The files are restored, but of the project's own records nothing was applied: ${why}. Restore again.`;
    await tell(tx, job, 'failed', message, end.at);
    return { ...end, state: 'failed', failure: { code: 'RESTORE_FAILED', message, retryable: false } };
  }
}

async function apply(
  tx: Repositories,
  job: JobRecord,
  { plan, count, at }: { plan: RestorePlan; count: number | undefined; at: Date },
): Promise<string[]> {
  if (!plan.records) return [];
  const { mode, projectId } = plan.records;
  const backup = await tx.backups.find(plan.backupId);
  const rows = await readStaged(tx, job.id, { records: count, summary: backup?.records ?? null });
  const elsewhere = projectId !== plan.projectId;
  const applied = await applyRecords(tx, rows, { mode, projectId, elsewhere, at });
  await tx.restoredRecords.keepForReading(job.id, projectId, at);
  return noticesOf(applied, mode);
}

/** Null for a job that is to put none in place: what it hands back all the same is dropped. */
function wishOf({ kind, plan }: JobRecord): RestorePlan['records'] | null {
  return kind === 'restore' ? ((JSON.parse(plan) as RestorePlan).records ?? null) : null;
}

async function tell(
  tx: Repositories,
  job: JobRecord,
  status: 'completed' | 'failed',
  message: string,
  at: Date,
): Promise<void> {
  const steps = await tx.restores.steps(job.id);
  const number = Math.max(0, ...steps.map(({ stepNumber }) => stepNumber)) + 1;
  await tx.restores.recordStep(job.id, { number, name: 'project_records', status, message, at });
}
