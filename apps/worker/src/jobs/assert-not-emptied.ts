import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';

/**
 * Backups are known to lie there: where not even one object is listed, this is not the place that they were written
 * to, a mount point without its disk for one. DESTINATION_NOT_FOUND, before anything is written.
 */
export async function assertNotEmptied(
  storage: Pick<Storage, 'list'>,
  { destination: { name }, holdsBackups = false }: { destination: { name: string }; holdsBackups?: boolean },
  signal: AbortSignal,
): Promise<void> {
  if (!holdsBackups) return;
  // Leaving the loop closes the listing.
  for await (const _object of storage.list('', signal)) return;
  throw new AppError(
    'DESTINATION_NOT_FOUND',
    `The destination ${name} is empty although backups lie there. Is its disk mounted? If it was emptied on purpose, delete those backups first; nothing was written.`,
  );
}
