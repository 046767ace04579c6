import type { FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { planDelete, planSweep } from '../planner/on-backup.ts';
import { planRollback } from '../planner/rollback.ts';
import { systemEntry } from '../retention/system-entry.ts';
import { BATCH, forEach, type ReconcilerOptions } from './reconciler-options.ts';
import { postponeForget } from './settle-restore.ts';

/** What dead attempts left of a backup goes after a while. */
export async function sweepDue(options: ReconcilerOptions): Promise<void> {
  const due = await options.db.backups.dueForSweep(new Date(), BATCH);
  await forEach(options, due, (backup) => submitUnused(options, backup, planSweep, 'sweep'));
}

/** What was deleted while other backups needed it goes when the last of them has gone. */
export async function deleteHidden(options: ReconcilerOptions): Promise<void> {
  const free = await options.db.backups.hiddenAndFree(BATCH);
  await forEach(options, free, (backup) => submitUnused(options, backup, planRemoval('hidden'), 'delete'));
}

/** A deletion that has begun comes to its end: what failed half-way is begun again, after a pause that grows. */
export async function resumeDeletions(options: ReconcilerOptions): Promise<void> {
  const { db, logger } = options;
  const ids = await db.retention.brokenDeletions(new Date(), BATCH);
  const broken = ids.map((id) => ({ id }));
  await forEach(options, broken, async ({ id }) => {
    const backup = await db.backups.get(id);
    if (!backup) return;
    logger.info({ backupId: id }, 'a deletion that came to no end is begun again');
    await submitUnused(options, backup, planRemoval('resume'), 'delete');
  });
}

function planRemoval(what: 'hidden' | 'resume'): typeof planSweep {
  return (deps, request) =>
    planDelete(deps, {
      ...request,
      leave: { by: 'earlier-deletion' },
      note: async (tx, jobId) => {
        const { backup, requestId } = request;
        await tx.auditLog.add(systemEntry(`retention.delete_${what}`, backup, requestId, { job_id: jobId }));
      },
    });
}

async function submitUnused(
  { db, dispatcher, keys }: ReconcilerOptions,
  backup: FullBackup,
  plan: typeof planSweep,
  what: string,
): Promise<void> {
  const jobs = await db.jobs.unfinishedOf(backup.id);
  if (jobs.length > 0) return;
  try {
    const draft = await plan({ db, keys }, { backup, userId: null, requestId: `${what}-${backup.id}` });
    await dispatcher.submit(draft);
  } catch (error) {
    // Another process was quicker, or somebody began to use the backup: the next round looks again.
    if (!(error instanceof AppError) || !QUICKER.has(error.code)) throw error;
  }
}

const QUICKER = new Set(['CONFLICT', 'BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS', 'BACKUP_NOT_FOUND']);

/** The way back of a restore goes when its time is over. One that cannot be removed now is in nobody's way. */
export async function forgetDue(options: ReconcilerOptions): Promise<void> {
  const { db, dispatcher, keys } = options;
  const due = await db.restores.dueForForget(new Date(), BATCH);
  await forEach(options, due, async (restore) => {
    const origin = { userId: null, requestId: `forget-${restore.id}`, mayUseLocal: true };
    try {
      await dispatcher.submit(await planRollback({ db, keys }, { restore, action: 'forget', ...origin }));
    } catch (error) {
      if (!(error instanceof AppError) || error.code === 'UNAVAILABLE') throw error;
      options.logger.info({ restoreJobId: restore.id, code: error.code }, 'way back is removed later');
      await postponeForget(db, restore, new Date());
    }
  });
}
