import { type ResultOf, VERIFY_LEVELS, type VerifyLevel } from '@tarfleet/contracts';
import type { CopyRef, JobRecord, Repositories } from '@tarfleet/db';
import { type End, failureOf } from './end.ts';
import { verifiedCopy } from './settle-copy.ts';

/** Older ones than so many say nothing any more. */
const LOOKED_AT = 100;

/**
 * What a verification found, on the backup's record. A fault counts wherever it was looked for; being sound counts
 * only when all of the backup was looked at, as closely as when a fault was last found. Backups that this one builds
 * on are marked, too, when their archives were found damaged: else the next incremental would build on them again.
 */
export async function settleVerify(
  tx: Repositories,
  job: JobRecord,
  result: ResultOf<'verify'>,
): Promise<void> {
  const { backupId } = job;
  if (backupId === null) return;
  const verifiedAt = new Date(result.verifiedAt);
  const backup = await tx.backups.find(backupId);
  const copy = backup && verifiedCopy(job, backup);
  if (copy) {
    await settleVerifiedCopy(tx, copy, result, verifiedAt);
    return;
  }
  if (result.valid) {
    if (result.narrowed || (await isTooLight(tx, job.id, backupId, result.level))) return;
    await tx.backups.change(backupId, { verified: true, verifiedAt });
    return;
  }
  const damaged = await ancestorsAmong(tx, backupId, result.damagedAncestors);
  // In one order everywhere: two that mark the same never wait for each other.
  for (const id of [backupId, ...damaged].sort()) {
    await tx.backups.change(id, { verified: false, verifiedAt });
  }
}

/**
 * A restore that found what it was to read damaged is a verification as well, until a real one says otherwise. Where what it
 * says names an object, that is the one; else nobody knows which it was, of the backup or of those that it builds on.
 */
export async function settleFoundDamage(tx: Repositories, job: JobRecord, end: End): Promise<void> {
  const { code, message } = failureOf(end);
  const backup = job.backupId === null ? null : await tx.backups.find(job.backupId);
  if (code !== 'BACKUP_CORRUPTED' || !backup) return;
  const copy = verifiedCopy(job, backup);
  if (!copy) {
    const known = [backup.id, ...(await ancestorsOf(tx, backup.id))];
    const named = known.filter((id) => message.includes(id));
    for (const id of [...new Set([backup.id, ...(named.length > 0 ? named : known)])].sort()) {
      await tx.backups.change(id, { verified: false, verifiedAt: end.at });
    }
    return;
  }
  const failure = { code, message: `A restore found it damaged: ${message}`, retryable: false } as const;
  await tx.copies.showIn(await tx.copies.fail(copy, 'completed', failure, end.at));
}

/**
 * Damage in a copy says nothing of the backup itself. The copy has failed then, and making it again mends it; so have
 * those of backups that it builds on, where the damage is theirs.
 */
async function settleVerifiedCopy(
  tx: Repositories,
  { backupId, destinationId }: CopyRef,
  result: ResultOf<'verify'>,
  at: Date,
): Promise<void> {
  if (result.valid) {
    if (!result.narrowed) await tx.copies.verified({ backupId, destinationId }, at);
    return;
  }
  const message = `A verification found it damaged: ${result.issues[0] ?? 'see the job of the verification.'}`;
  const failure = { code: 'BACKUP_VERIFICATION_FAILED', message, retryable: false } as const;
  const damaged = await ancestorsAmong(tx, backupId, result.damagedAncestors);
  const concerned: string[] = [];
  for (const id of [backupId, ...damaged].sort()) {
    concerned.push(...(await tx.copies.fail({ backupId: id, destinationId }, 'completed', failure, at)));
  }
  await tx.copies.showIn(concerned);
}

/** Whether a fault stands that only a closer look than this one could take back. */
async function isTooLight(
  tx: Repositories,
  jobId: string,
  backupId: string,
  level: VerifyLevel,
): Promise<boolean> {
  let fault: VerifyLevel | null = null;
  const backup = await tx.backups.find(backupId);
  for (const verification of (await tx.jobs.verificationsOf(backupId, LOOKED_AT)).reverse()) {
    const { id, result } = verification;
    if (id === jobId || result?.kind !== 'verify') continue;
    if (backup && verifiedCopy(verification, backup)) continue;
    if (!result.valid) fault = fault === null || isAtLeast(result.level, fault) ? result.level : fault;
    else if (!result.narrowed && fault !== null && isAtLeast(result.level, fault)) fault = null;
  }
  return fault !== null && !isAtLeast(level, fault);
}

function isAtLeast(one: VerifyLevel, other: VerifyLevel): boolean {
  return VERIFY_LEVELS.indexOf(one) >= VERIFY_LEVELS.indexOf(other);
}

/** A result may speak of the backup's own ancestors and of nothing else. */
async function ancestorsAmong(tx: Repositories, backupId: string, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const known = await ancestorsOf(tx, backupId);
  return [...new Set(ids)].filter((id) => known.includes(id));
}

async function ancestorsOf(tx: Repositories, backupId: string): Promise<string[]> {
  const backup = await tx.backups.get(backupId);
  const ancestors = await Promise.all(
    (backup?.artifacts ?? []).map((artifact) => tx.artifacts.ancestorsOf(artifact.id)),
  );
  const ids = new Set(ancestors.flat().map((one) => one.backupId));
  ids.delete(backupId);
  return [...ids];
}
