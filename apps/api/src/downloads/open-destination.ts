import type { DestinationSecrets } from '@tarfleet/contracts';
import type { Database, FullBackup } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import { createStorage, type Storage, type StorageTarget } from '@tarfleet/storage';
import { destinationAad, type SecretBox } from '@tarfleet/vault';
import type { ApiConfig } from '../env.ts';

export interface OpenDestinationOptions {
  db: Pick<Database, 'destinations'>;
  box: SecretBox;
  config: Pick<ApiConfig, 'LOCAL_ROOTS'>;
  logger: Logger;
}

/**
 * Opens where a backup's objects lie, for reading in this process; the caller closes it. CONFLICT when the destination is
 * no longer configured, LOCAL_NOT_ALLOWED for a folder that this host may not read.
 */
export function createOpenDestination({ db, box, config, logger }: OpenDestinationOptions) {
  const localRoots = config.LOCAL_ROOTS.split(':').filter(Boolean);
  return async ({ destinationId }: Pick<FullBackup, 'destinationId'>): Promise<Storage> => {
    const found = destinationId === null ? null : await db.destinations.get(destinationId);
    if (!found) throw new AppError('CONFLICT', 'The destination of this backup is no longer configured.');
    const secrets = found.secretCiphertext && box.open(destinationAad(found.id), found.secretCiphertext);
    const { name, type, config: settings } = found;
    // As the routes of destinations checked it when it was stored.
    const target = { name, type, config: settings } as StorageTarget;
    return createStorage(target, (secrets || null) as DestinationSecrets | null, {
      ...{ localAllowed: localRoots.length > 0, localRoots, logger },
    });
  };
}
export type OpenDestination = ReturnType<typeof createOpenDestination>;
