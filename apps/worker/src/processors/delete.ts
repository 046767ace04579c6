import type { DeletePlan, DestinationTarget } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { clearPrefix } from '../jobs/clear-prefix.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Removes every object of one backup, wherever it lies. One destination that cannot be reached keeps no other from being
 * cleared; then the job fails, and running it again, as after a crash, removes the rest.
 */
export function createDeleteProcessor(deps: WorkerDeps): Processor<DeletePlan> {
  return async ({ plan, signal, report, delivery }) => {
    const removed = { objects: 0, bytes: 0 };
    const faults: unknown[] = [];
    const clear = (target: DestinationTarget, told: string): Promise<void> =>
      withStorage(deps, target, async (storage) => {
        await delivery.assertOwned();
        const { objects, bytes } = await report.step('delete', told, () =>
          clearPrefix(storage, plan.keyPrefix, () => false, signal),
        );
        removed.objects += objects;
        removed.bytes += bytes;
      });
    const copies = plan.copies ?? [];
    const places = [
      { target: plan.destination, told: 'Removing the stored objects' },
      ...copies.map((target) => ({ target, told: `Removing the copy at ${target.name}` })),
    ];
    for (const { target, told } of places) {
      signal.throwIfAborted();
      await clear(target, told).catch((error: unknown) => faults.push(error));
    }
    if (faults.length > 0) throw signal.aborted ? signal.reason : faults[0];
    return { state: 'completed', result: { kind: 'delete', ...removed } };
  };
}
