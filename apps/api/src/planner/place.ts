import type { CopyRef, DestinationRecord, FullBackup, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';

/** The further destinations of a backup at which something of it may lie. */
export function begunCopies(backup: FullBackup): string[] {
  return backup.copies.flatMap((copy) => (copy.begunAt === null ? [] : [copy.destinationId]));
}

/** Where a backup is to be read: its own destination, or (by id) one with a complete copy of it. NOT_FOUND, BACKUP_INCOMPLETE. */
export async function placeOf(
  db: Pick<Repositories, 'destinations' | 'copies'>,
  { id: backupId, destinationId: mainId, copies }: Pick<FullBackup, 'id' | 'destinationId' | 'copies'>,
  wanted: string | null,
): Promise<DestinationRecord> {
  const id = wanted ?? mainId;
  if (wanted !== null && wanted !== mainId)
    await assertUsable(db, { backupId, destinationId: wanted }, copies);
  const found = id === null ? null : await db.destinations.get(id);
  if (found) return found;
  throw new AppError('CONFLICT', 'The destination of this backup is no longer configured.');
}

async function assertUsable(
  db: Pick<Repositories, 'copies'>,
  ref: CopyRef,
  copies: FullBackup['copies'],
): Promise<void> {
  const copy = copies.find(({ destinationId }) => destinationId === ref.destinationId);
  if (!copy) {
    throw new AppError('NOT_FOUND', `The backup has no copy at the destination ${ref.destinationId}.`);
  }
  if (await db.copies.isUsable(ref)) return;
  throw new AppError(
    'BACKUP_INCOMPLETE',
    `The copy at ${copy.destination.name} cannot be used: it, or one of a backup that it builds on, is not complete there.`,
    { details: { status: copy.status } },
  );
}
