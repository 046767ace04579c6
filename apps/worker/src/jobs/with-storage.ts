import type { DestinationTarget } from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import type { WorkerDeps } from '../worker-deps.ts';

/** Opens a destination for the length of one action. */
export async function withStorage<T>(
  deps: Pick<WorkerDeps, 'openStorage'>,
  destination: DestinationTarget,
  action: (storage: Storage) => Promise<T>,
): Promise<T> {
  const storage = await deps.openStorage(destination);
  try {
    return await action(storage);
  } finally {
    await storage.close();
  }
}
