import { isDeepStrictEqual } from 'node:util';
import { type CopyPlan, type JobKind, PLAN_VERSION } from '@tarfleet/contracts';
import type { Database, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { switchedOff } from './choose-destinations.ts';
import { toJobDraft } from './job-draft.ts';
import { poolOf, relock } from './on-backup.ts';
import { type PlanKeys, toDestinationTarget } from './targets.ts';

/** What of a backup is removed, or wrapped anew, is not copied meanwhile. */
const NOT_BESIDE_COPY: readonly JobKind[] = ['rewrap', 'sweep', 'delete'];

export interface CopyRequest {
  backup: FullBackup;
  destinationId: string;
  userId: string | null;
  requestId: string;
}

/**
 * Plans the making of a copy that is wanted. CONFLICT on acceptance when somebody else makes it, or something else is
 * done with the backup at this moment; BACKUP_NOT_FOUND, CONFLICT with a switched-off destination.
 */
export async function planCopy(
  { db, keys }: { db: Database; keys: PlanKeys },
  { backup, destinationId, userId, requestId }: CopyRequest,
): Promise<RunDraft> {
  const pool = await poolOf(db, backup);
  const source = backup.destinationId ? await db.destinations.get(backup.destinationId) : null;
  const destination = await db.destinations.get(destinationId);
  if (!source || !destination || backup.manifestSha256 === null) {
    throw new AppError('CONFLICT', 'The backup or one of its destinations is gone.');
  }
  if (!destination.enabled) throw switchedOff(destination);
  const holdsBackups = await db.destinations.holdsBackups(destination.id);
  const plan: CopyPlan = {
    ...{ v: PLAN_VERSION, jobId: uuidv7(), pool, projectId: backup.projectId, requestId },
    ...{ issuedAt: new Date().toISOString(), kind: 'copy', backupId: backup.id },
    ...{ keyPrefix: backup.keyPrefix, manifestSha256: backup.manifestSha256 },
    source: await toDestinationTarget(keys, source, pool),
    destination: await toDestinationTarget(keys, destination, pool),
    ...(holdsBackups ? { holdsBackups } : {}),
  };
  return {
    root: toJobDraft(plan, { userId, backupId: backup.id }),
    children: [],
    leases: [],
    async record(tx) {
      // From the commit on it holds part of the backup, and stays where it is; before it, somebody may have moved it.
      const now = await tx.destinations.hold(destinationId);
      if (!isDeepStrictEqual(now?.config, destination.config)) {
        throw new AppError('CONFLICT', `The destination ${destination.name} was changed at this moment.`);
      }
      const { status } = await relock(tx, backup.id, true);
      if (status === 'deleting') throw new AppError('CONFLICT', 'The backup is being deleted.');
      const other = (await tx.jobs.unfinishedOf(backup.id)).find(({ kind }) =>
        NOT_BESIDE_COPY.includes(kind),
      );
      const begun = !other && (await tx.copies.begin({ backupId: backup.id, destinationId }, plan.jobId));
      if (!begun) throw new AppError('CONFLICT', 'The copy is being made, or something else is done first.');
    },
  };
}
