import type { CopyPlan, VerifyPlan } from '@tarfleet/contracts';
import type { CopyRef, JobRecord, Repositories } from '@tarfleet/db';
import { type End, failureOf } from './end.ts';

/** What the end of a copy's job means to the copy, and to the backups that it is one of. Gives those whose copies have failed with it. */
export async function settleCopy(tx: Repositories, job: JobRecord, end: End): Promise<string[]> {
  const { backupId, destination } = JSON.parse(job.plan) as CopyPlan;
  const ref = { backupId, destinationId: destination.id };
  const { result } = end;
  if (end.state === 'completed' && result?.kind === 'copy') {
    const { objects, bytes } = result;
    await tx.copies.complete(ref, job.id, { objects, bytes, at: end.at });
    await tx.copies.showIn([backupId]);
    return [];
  }
  const concerned = await tx.copies.fail(ref, { jobId: job.id }, failureOf(end), end.at);
  await tx.copies.showIn(concerned);
  return concerned;
}

/** The backup has ended: with content, its copies may begin, and what it builds on goes where they go; without, there are none. */
export async function releaseCopies(tx: Repositories, backupId: string, withContent: boolean): Promise<void> {
  if (!withContent) {
    await tx.copies.removeAll(backupId);
    return;
  }
  const concerned = await tx.copies.wantAncestors(backupId);
  await tx.copies.showIn([backupId, ...concerned]);
}

/** The copy that a verification looked at; null when that was the backup itself. */
export function verifiedCopy(
  job: JobRecord,
  backup: { id: string; destinationId: string | null },
): CopyRef | null {
  const { destination } = JSON.parse(job.plan) as VerifyPlan;
  return destination.id === backup.destinationId
    ? null
    : { backupId: backup.id, destinationId: destination.id };
}
