import { PLAN_VERSION, type RollbackPlan } from '@tarfleet/contracts';
import type { Database, Repositories, RestoreRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { foldersOn, planned } from './destination-folders.ts';
import { toJobDraft } from './job-draft.ts';
import { overlapsAny, planRun } from './restore-run.ts';
import { assertPinned, type PlanKeys, poolKey, toServerTarget } from './targets.ts';

const FORGET_LOOK_MS = 3600 * 1000;

export interface RollbackRequest {
  restore: RestoreRecord;
  /** `undo` takes the way back that the restore left, `forget` removes it. */
  action: RollbackPlan['action'];
  userId: string | null;
  requestId: string;
  /** Whether the actor is an administrator: nobody else touches the workers' own hosts. */
  mayUseLocal: boolean;
}

/**
 * What becomes of the way back of a restore that has ended. CONFLICT when there is none, when another job is at it, or
 * when it would take back a later restore too.
 */
export async function planRollback(
  { db, keys }: { db: Database; keys: PlanKeys },
  { restore, action, userId, requestId, mayUseLocal }: RollbackRequest,
): Promise<RunDraft> {
  await assertWayBack(db, restore, action);
  const server = restore.serverId === null ? null : await db.servers.get(restore.serverId);
  if (!server) {
    throw new AppError('CONFLICT', 'The server of this restore is no longer configured.');
  }
  if (server.kind === 'local' && !mayUseLocal) {
    throw new AppError('INSUFFICIENT_PERMISSIONS', 'Only an administrator may roll back on a local server.');
  }
  const target = await toServerTarget(db, server);
  assertPinned(target);
  poolKey(keys, server.pool);
  const all = await db.services.find({ serverId: server.id });
  // Removing a way back changes nothing that a service has open, and holds up nothing.
  const { run, concerned } = planRun(all, action === 'undo' ? restore.targetPaths : []);
  const plan: RollbackPlan = {
    v: PLAN_VERSION,
    kind: 'rollback',
    jobId: uuidv7(),
    pool: server.pool,
    projectId: restore.projectId,
    requestId,
    issuedAt: new Date().toISOString(),
    action,
    backupId: restore.backupId,
    restoreJobId: restore.id,
    server: target,
    ...run,
    healthChecks: action === 'undo',
    ...planned(foldersOn(server, await db.destinations.all())),
  };
  return {
    // It needs nothing of the backup, which may go meanwhile.
    root: toJobDraft(plan, { userId, backupId: null }),
    children: [],
    leases: action === 'undo' ? [...new Set([...restore.serviceIds, ...concerned])] : [],
    async record(tx) {
      const locked = await tx.restores.lock(restore.id);
      if (!locked) throw new AppError('NOT_FOUND', 'There is no such restore job.');
      await assertWayBack(tx, locked, action);
      await tx.restores.change(restore.id, {
        rollbackJobId: plan.jobId,
        // Until its end says when the next try is, if any; so those that wait for a worker are not looked at again.
        ...(action === 'forget' ? { forgetAfter: new Date(Date.now() + FORGET_LOOK_MS) } : {}),
      });
    },
  };
}

async function assertWayBack(
  db: Pick<Repositories, 'jobs' | 'restores'>,
  restore: RestoreRecord,
  action: RollbackPlan['action'],
): Promise<void> {
  const { status, rollbackPath, rollbackJobId, completedAt, serverId } = restore;
  if (completedAt === null) {
    throw new AppError(
      'CONFLICT',
      'The restore has not ended yet. Wait for it, or cancel it: that puts everything back.',
    );
  }
  if (rollbackPath === null || (status !== 'completed' && status !== 'failed')) throw noWayBack(restore);
  const job = rollbackJobId === null ? null : await db.jobs.get(rollbackJobId);
  if (job && job.endedAt === null) {
    throw new AppError(
      'CONFLICT',
      `The job ${job.id} works on the way back of this restore already. Wait until it has ended.`,
      { details: { job_id: job.id } },
    );
  }
  if (action === 'forget' || serverId === null) return;
  const since = await db.restores.leftSince(serverId, completedAt);
  const later = since.find(({ targetPaths }) =>
    targetPaths.some((path) => overlapsAny(path, restore.targetPaths)),
  );
  if (!later) return;
  throw new AppError(
    'CONFLICT',
    `A later restore of the same files (${later.id}) has changed them since. Roll that one back first, or restore a backup.`,
    { details: { restoreJobId: later.id } },
  );
}

function noWayBack({ status }: RestoreRecord): AppError {
  const why =
    status === 'rolled_back'
      ? 'The restore is rolled back already.'
      : 'The restore left no way back, or its time is over.';
  return new AppError('CONFLICT', `${why} To have other files, restore a backup.`);
}
