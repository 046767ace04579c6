import type { FullBackup, RetentionGround, SeriesKey, SeriesMember } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { hideIfNeeded, planDelete } from '../planner/on-backup.ts';
import { forEach, type ReconcilerOptions } from '../recorder/reconciler-options.ts';
import { evaluateSeries } from './evaluate.ts';
import { earlier, policiesOf } from './may-go.ts';
import { systemEntry } from './system-entry.ts';

/** How many series one look at the database brings. */
const SERIES = 100;
/** Deletions that are under way at once, at most; the next run follows soon when there are more. */
const DELETIONS = 50;
const SOON_MS = 10_000;
/** Between the start of the process and its first run: time to think better of it. */
const FIRST_MS = 10 * 60_000;

/** Runs when that is due. */
export type RetentionRun = (options: ReconcilerOptions) => Promise<void>;

/**
 * Deletes what nothing keeps any more, every so many milliseconds (0: never). What it finds is looked at again, under
 * lock, in the transaction that accepts each deletion, so that several processes may run it at once.
 */
export function createRetentionRun(everyMs: number): RetentionRun {
  let due = Date.now() + Math.min(FIRST_MS, everyMs);
  const enforceRetention: RetentionRun = async (options) => {
    if (everyMs === 0 || Date.now() < due) return;
    due = Date.now() + everyMs;
    if (await runOnce(options)) due = Date.now() + Math.min(SOON_MS, everyMs);
  };
  return enforceRetention;
}

/** True when it stopped before it had seen everything. */
async function runOnce(options: ReconcilerOptions): Promise<boolean> {
  const { db } = options;
  let left = DELETIONS - (await db.retention.runningDeletions());
  if (left <= 0) return true;
  let after: SeriesKey | null = null;
  for (;;) {
    const found: SeriesKey[] = await db.retention.dueSeries(new Date(), after, SERIES);
    for (const key of found) {
      const ground = await db.retention.look(key.projectId, key.destinationId);
      const members = leaving(await db.retention.membersOf(key), ground);
      await forEach(options, members, async ({ id }) => {
        if (left > 0 && (await letGo(options, id))) left -= 1;
      });
      if (left === 0) return true;
    }
    after = found.at(-1) ?? null;
    if (after === null) return false;
  }
}

/** What nothing keeps, the oldest first. */
function leaving(members: SeriesMember[], ground: RetentionGround): SeriesMember[] {
  const reasons = evaluateSeries(members, policiesOf(ground), earlier(ground.now));
  return members
    .filter(({ id }) => reasons.get(id)?.length === 0)
    .sort((one, other) => one.createdAt.getTime() - other.createdAt.getTime());
}

/** Hides it when others need it, else starts its deletion. False when it is kept or in use after all. */
async function letGo(options: ReconcilerOptions, id: string): Promise<boolean> {
  const { db, dispatcher, keys, logger } = options;
  const backup = await db.backups.get(id);
  if (!backup) return false;
  const requestId = `retention-${id}`;
  const leave = { by: 'retention' } as const;
  const facts = factsOf(backup);
  try {
    const hidden = await hideIfNeeded(db, backup, leave, async (tx) => {
      await tx.auditLog.add(systemEntry('retention.hide', backup, requestId, facts));
    });
    if (hidden === null) {
      const draft = await planDelete(
        { db, keys },
        {
          ...{ backup, userId: null, requestId, leave },
          note: async (tx, jobId) => {
            await tx.auditLog.add(
              systemEntry('retention.delete', backup, requestId, { ...facts, job_id: jobId }),
            );
          },
        },
      );
      await dispatcher.submit(draft);
    }
    logger.info({ backupId: id, hidden, ...facts }, 'retention lets a backup go');
    return true;
  } catch (error) {
    if (!(error instanceof AppError) || !LATER.has(error.code)) throw error;
    logger.debug({ backupId: id, code: error.code }, 'retention leaves a backup for now');
    return false;
  }
}

/** Somebody uses it, deleted it, or gave a reason to keep it meanwhile: the next run looks again. */
const LATER = new Set([
  ...['CONFLICT', 'BACKUP_NOT_FOUND', 'BACKUP_IN_PROGRESS', 'RESTORE_IN_PROGRESS'],
  'RETENTION_POLICY_VIOLATION',
]);

function factsOf({ createdAt, retentionUntil, status, artifacts }: FullBackup) {
  return {
    created_at: createdAt.toISOString(),
    retention_until: retentionUntil?.toISOString() ?? null,
    status,
    services: artifacts.map(({ serviceName }) => serviceName),
  };
}
