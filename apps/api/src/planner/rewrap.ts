import type { JobKind, RewrapPlan } from '@tarfleet/contracts';
import type { Database, FullBackup, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { RunDraft } from '../dispatcher.ts';
import { assertKeyShared, primaryKeyOf } from './encryption-keys.ts';
import { type OnBackupRequest, prepare, relock, targetsOf } from './on-backup.ts';
import type { PlanKeys } from './targets.ts';

export interface RewrapRequest extends OnBackupRequest {
  /** Null: the primary key of the backup's pool. */
  keyName: string | null;
}

/**
 * Jobs that a change of keys does not run beside: of two of them nobody could say which key the backup ends with, and a
 * sweep ends uploads below the backup's prefix.
 */
export const NOT_BESIDE_REWRAP: readonly JobKind[] = ['rewrap', 'sweep', 'delete', 'copy'];

const WITH_CONTENT = ['completed', 'partial', 'hidden'];

/**
 * Wraps a backup's keys with another one; also those of a hidden backup, for others need it. Until the job has
 * ended well the backup counts as wrapped with the old keys and the new one.
 */
export async function planRewrap(
  deps: { db: Database; keys: PlanKeys },
  request: RewrapRequest,
): Promise<{ keyName: string; draft: RunDraft }> {
  const { backup } = request;
  const manifestSha256 = assertEncrypted(backup);
  const { base, toDraft } = await prepare(deps, request);
  const to = request.keyName ?? (await primaryKeyOf(deps.db, base.pool));
  // Its artifacts may have been made, and may have to be restored, by workers of other pools.
  for (const pool of await poolsOf(deps.db, backup, base.pool)) await assertKeyShared(deps.db, pool, to);
  // Of one that has failed the next try brings the keys as they are then.
  const complete = backup.copies.filter(({ status }) => status === 'completed');
  const places = complete.map((copy) => copy.destinationId);
  const copies = await targetsOf(deps, places, base.pool);
  const plan: RewrapPlan = { ...base, kind: 'rewrap', manifestSha256, copies, to };
  const draft = toDraft(plan, async (tx) => {
    const locked = await relock(tx, backup.id, true);
    assertEncrypted(locked);
    await assertAlone(tx, backup.id);
    const now = locked.copies.filter(({ status }) => status === 'completed');
    if (now.map((copy) => copy.destinationId).join() !== places.join()) {
      throw new AppError('CONFLICT', 'A copy of the backup was made at this moment. Send the request again.');
    }
    await tx.backups.change(backup.id, { encryptionKeys: [...new Set([...locked.encryptionKeys, to])] });
  });
  return { keyName: to, draft };
}

/** The recorded SHA-256 of the manifest of a backup that has keys to wrap. */
function assertEncrypted(backup: FullBackup): string {
  if (!backup.encrypted) {
    throw new AppError('CONFLICT', 'The backup is not encrypted: it has no keys that could be wrapped.');
  }
  if (backup.status === 'in_progress') {
    throw new AppError('BACKUP_INCOMPLETE', 'The backup is still running. Wait until it has completed.');
  }
  if (WITH_CONTENT.includes(backup.status) && backup.manifestSha256 !== null) return backup.manifestSha256;
  throw new AppError(
    'BACKUP_INCOMPLETE',
    `The backup has no usable content: its status is ${backup.status}.`,
  );
}

async function assertAlone(tx: Repositories, backupId: string): Promise<void> {
  const job = (await tx.jobs.unfinishedOf(backupId)).find(({ kind }) => NOT_BESIDE_REWRAP.includes(kind));
  if (!job) return;
  throw new AppError(
    'CONFLICT',
    `The backup is in use by a running job (${job.kind} ${job.id}). Send the request again when it has ended.`,
    { details: { job_id: job.id } },
  );
}

async function poolsOf(db: Database, backup: FullBackup, own: string): Promise<Set<string>> {
  const artifacts = await db.jobs.children(backup.id);
  return new Set([own, ...artifacts.map(({ pool }) => pool)]);
}
