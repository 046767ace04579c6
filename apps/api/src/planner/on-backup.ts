import { isDeepStrictEqual } from 'node:util';
import {
  type DeletePlan,
  PLAN_VERSION,
  type RewrapPlan,
  type SweepPlan,
  type VerifyPlan,
} from '@tarfleet/contracts';
import type { Database, FullBackup, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { assertMayGo, holdGround, type Leave } from '../retention/may-go.ts';
import { toJobDraft } from './job-draft.ts';
import { begunCopies, placeOf } from './place.ts';
import { type PlanKeys, toDestinationTarget } from './targets.ts';

/** Jobs that act on one stored backup and need no server. */
export interface OnBackupRequest {
  backup: FullBackup;
  /** Of a copy that is to be read in place of the backup itself. */
  destinationId?: string | null;
  userId: string | null;
  requestId: string;
}

interface Deps {
  db: Database;
  keys: PlanKeys;
}

export interface DeleteRequest extends OnBackupRequest {
  /** On whose word. */
  leave: Leave;
  /** Tells of it, in the transaction that accepts it. */
  note?: (tx: Repositories, jobId: string) => Promise<void>;
}

/** Plans the removal of all that a backup stored. From its acceptance on the backup is `deleting`. */
export async function planDelete(deps: Deps, request: DeleteRequest): Promise<RunDraft> {
  const { base, toDraft } = await prepare(deps, request);
  const places = begunCopies(request.backup);
  const copies = await targetsOf(deps, places, base.pool);
  const plan: DeletePlan = { ...base, kind: 'delete', copies };
  return toDraft(plan, async (tx) => {
    const ground = await holdGround(tx, request.backup);
    const backup = await relock(tx, request.backup.id, true);
    await assertUnused(tx, backup);
    if (!isDeepStrictEqual(begunCopies(backup), places)) {
      throw new AppError('CONFLICT', 'A copy of the backup was made at this moment. Send the request again.');
    }
    await assertMayGo(tx, backup, request.leave, ground);
    const dependents = await tx.artifacts.countDependents(backup.id);
    if (dependents > 0) {
      throw new AppError(
        'CONFLICT',
        'A later backup began to need this one at this moment. Send the request again.',
      );
    }
    if ((await tx.holds.count(backup.id)) > 0) {
      throw new AppError(
        'CONFLICT',
        'A download of the backup began at this moment. Send the request again.',
      );
    }
    await tx.backups.change(backup.id, { status: 'deleting' });
    await request.note?.(tx, plan.jobId);
  });
}

/** Why the objects of a deleted backup stay for now. */
export type StaysFor = 'backups' | 'downloads';

/**
 * Hides a backup that later ones need, or that is being downloaded: its objects stay until the last of those has
 * gone, then they are removed. Null when nothing needs it, and nothing was done.
 */
export async function hideIfNeeded(
  db: Database,
  { id, ...where }: Pick<FullBackup, 'id' | 'projectId' | 'destinationId'>,
  leave: Leave,
  note?: (tx: Repositories) => Promise<void>,
): Promise<StaysFor | null> {
  return db.transaction(async (tx) => {
    const ground = await holdGround(tx, where);
    const backup = await relock(tx, id);
    await assertUnused(tx, backup);
    await assertMayGo(tx, backup, leave, ground);
    const needed = (await tx.artifacts.countDependents(id)) > 0;
    if (!needed && (await tx.holds.count(id)) === 0) return null;
    await tx.backups.change(id, { status: 'hidden', deletedAt: new Date() });
    await note?.(tx);
    return needed ? 'backups' : 'downloads';
  });
}

async function assertUnused(tx: Repositories, backup: FullBackup): Promise<void> {
  assertDeletable(backup);
  const [job] = await tx.jobs.unfinishedOf(backup.id);
  if (!job) return;
  throw new AppError(
    job.kind === 'restore' ? 'RESTORE_IN_PROGRESS' : 'BACKUP_IN_PROGRESS',
    `The backup is in use by a running job (${job.kind} ${job.id}). Wait until it has ended, or cancel it.`,
    { details: { job_id: job.id } },
  );
}

export async function planSweep(deps: Deps, request: OnBackupRequest): Promise<RunDraft> {
  const { base, toDraft } = await prepare(deps, request);
  const keepNothing = request.backup.manifestSha256 === null;
  const plan: SweepPlan = { ...base, kind: 'sweep', keepNothing };
  return toDraft(plan, async (tx) => {
    const backup = await relock(tx, request.backup.id, true);
    const [job] = await tx.jobs.unfinishedOf(backup.id);
    if (job)
      throw new AppError('CONFLICT', `The backup is in use by ${job.kind} ${job.id}; it is swept later.`);
  });
}

/** The recorded SHA-256 of the manifest of a backup that can be verified and restored. */
export function assertRestorable(backup: FullBackup): string {
  if (backup.status === 'in_progress') {
    throw new AppError('BACKUP_INCOMPLETE', 'The backup is still running. Wait until it has completed.');
  }
  const usable = backup.status === 'completed' || backup.status === 'partial';
  if (!usable || backup.manifestSha256 === null) {
    throw new AppError(
      'BACKUP_INCOMPLETE',
      `The backup has no usable content: its status is ${backup.status}.`,
    );
  }
  return backup.manifestSha256;
}

function assertDeletable(backup: FullBackup): void {
  if (backup.status === 'in_progress') {
    throw new AppError('BACKUP_IN_PROGRESS', 'The backup is still running. Cancel it first.');
  }
}

export async function relock(tx: Repositories, id: string, hidden = false): Promise<FullBackup> {
  const backup = await tx.backups.lock(id);
  if (!backup || backup.status === 'deleted' || (backup.status === 'hidden' && !hidden))
    throw new AppError('BACKUP_NOT_FOUND', `There is no backup ${id}.`);
  return backup;
}

/** What the plans of all jobs on a backup have in common, and how one becomes a run. */
export async function prepare(
  { db, keys }: Deps,
  { backup, destinationId = null, userId, requestId }: OnBackupRequest,
) {
  const pool = await poolOf(db, backup);
  const destination = await placeOf(db, backup, destinationId);
  const base = {
    v: PLAN_VERSION,
    jobId: uuidv7(),
    pool,
    projectId: backup.projectId,
    requestId,
    issuedAt: new Date().toISOString(),
    backupId: backup.id,
    destination: await toDestinationTarget(keys, destination, pool),
    keyPrefix: backup.keyPrefix,
  } as const;
  const toDraft = (
    plan: VerifyPlan | DeletePlan | SweepPlan | RewrapPlan,
    record: RunDraft['record'],
  ): RunDraft => {
    const root = toJobDraft(plan, { userId, backupId: backup.id });
    return { root, children: [], leases: [], record };
  };
  return { base, toDraft };
}

export async function targetsOf({ db, keys }: Deps, ids: readonly string[], pool: string) {
  const found = await Promise.all(ids.map((id) => db.destinations.get(id)));
  return Promise.all(found.flatMap((one) => (one ? [toDestinationTarget(keys, one, pool)] : [])));
}

/** The pool that made the backup can reach its destination. */
export async function poolOf(db: Database, backup: FullBackup): Promise<string> {
  const job = await db.jobs.get(backup.id);
  if (!job) throw new AppError('BACKUP_NOT_FOUND', `There is no job of backup ${backup.id}.`);
  return job.pool;
}
