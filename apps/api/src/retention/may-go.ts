import type { FullBackup, Repositories, RetentionGround, SeriesKey, SeriesMember } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { type AppliedPolicy, evaluateSeries, isLocked, type Reason } from './evaluate.ts';
import { describeReason, viewReason } from './view-reason.ts';

/** On whose word a backup is to go. */
export type Leave =
  /** A user’s; by force also what is still to be kept, or without heed to the backup’s own days alone. */
  | { by: 'user'; force: boolean; despiteDays?: boolean }
  /** Retention’s own: nothing may keep it. */
  | { by: 'retention' }
  /** What was deleted before and is to be removed now. */
  | { by: 'earlier-deletion' };

/**
 * Holds what retention stands on until the transaction ends, for `assertMayGo`. Before the backup is locked: so that
 * of all who delete, lock or change policies, none waits for another in a circle.
 */
export function holdGround(
  tx: Pick<Repositories, 'retention'>,
  { projectId, destinationId }: Pick<FullBackup, 'projectId' | 'destinationId'>,
): Promise<RetentionGround> {
  return tx.retention.hold(projectId, destinationId);
}

/**
 * Throws unless a backup, locked by the caller, may be deleted on this word: RETENTION_POLICY_VIOLATION for what is
 * locked or still to be kept, CONFLICT when retention itself has a reason to keep it.
 */
export async function assertMayGo(
  tx: Pick<Repositories, 'retention'>,
  backup: FullBackup,
  leave: Leave,
  ground: RetentionGround,
): Promise<void> {
  const now = earlier(ground.now);
  const whole = backup.status === 'completed' || backup.status === 'partial';
  if (leave.by === 'earlier-deletion') {
    if (backup.status === 'hidden' || backup.status === 'deleting') return;
    throw new AppError('CONFLICT', 'The backup is not deleted.');
  }
  if (whole && isLocked(backup, now)) throw lockedError(backup);
  if (leave.by === 'retention') {
    const reasons = whole ? await reasonsToKeep(tx, backup, ground) : null;
    if (reasons?.length === 0) return;
    throw new AppError('CONFLICT', 'The backup is kept.');
  }
  const holdsNothing = backup.status === 'failed' || backup.status === 'cancelled';
  if (leave.force || holdsNothing) return;
  const days = leave.despiteDays ? null : backup.retentionUntil;
  if (days !== null && days > now) throw stillKept(days);
  if (!whole || policiesOf(ground).length === 0) return;
  const byPolicy = (await reasonsToKeep(tx, backup, ground))?.filter(({ level }) => level !== null) ?? [];
  if (byPolicy.length === 0) return;
  throw new AppError(
    'RETENTION_POLICY_VIOLATION',
    `The backup is kept by a retention policy (${byPolicy.map(describeReason).join('; ')}). ${HOW}`,
    { details: { reasons: byPolicy.map(viewReason) } },
  );
}

/** Which policies are in force. */
export function policiesOf({ project, destination, schedules }: RetentionGround): AppliedPolicy[] {
  return [
    ...Object.entries(schedules).map(([scheduleId, policy]) => ({
      ...{ level: 'schedule' as const, scheduleId, policy },
    })),
    ...(project ? [{ level: 'project' as const, policy: project }] : []),
    ...(destination ? [{ level: 'destination' as const, policy: destination }] : []),
  ];
}

/** The earlier of the database's clock and one's own: a clock that runs ahead makes nothing old. */
export function earlier(databaseNow: Date): Date {
  return new Date(Math.min(databaseNow.getTime(), Date.now()));
}

/** Null when the backup is of no series: then nothing decides over it but people. */
async function reasonsToKeep(
  tx: Pick<Repositories, 'retention'>,
  { id, projectId, destinationId, series }: FullBackup,
  ground: RetentionGround,
): Promise<Reason[] | null> {
  if (series === null || destinationId === null) return null;
  const key: SeriesKey = { projectId, destinationId, series };
  const members: SeriesMember[] = await tx.retention.membersOf(key);
  return evaluateSeries(members, policiesOf(ground), earlier(ground.now)).get(id) ?? null;
}

const HOW = 'To delete it all the same, add ?force=true&reason=...';

function stillKept(until: Date): AppError {
  return new AppError(
    'RETENTION_POLICY_VIOLATION',
    `The backup is kept until ${until.toISOString()}. ${HOW}`,
    { details: { retention_until: until.toISOString() } },
  );
}

function lockedError({ lockUntil, lockReason }: FullBackup): AppError {
  const end = lockUntil === null ? '' : ` until ${lockUntil.toISOString()}`;
  return new AppError(
    'RETENTION_POLICY_VIOLATION',
    `The backup is locked${end} and is deleted by nobody, force included. An administrator may take the lock away: DELETE /api/backups/{id}/lock.`,
    { details: { locked: true, reason: lockReason, locked_until: lockUntil?.toISOString() ?? null } },
  );
}
