import type { DeletePlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { clearPrefix } from '../jobs/clear-prefix.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Removes every object of one backup. Running it again after a crash removes the rest. */
export function createDeleteProcessor(deps: WorkerDeps): Processor<DeletePlan> {
  return ({ plan, signal, report, delivery }) =>
    withStorage(deps, plan.destination, async (storage) => {
      await delivery.assertOwned();
      const { objects, bytes } = await report.step('delete', 'Removing the stored objects', () =>
        clearPrefix(storage, plan.keyPrefix, () => false, signal),
      );
      return { state: 'completed', result: { kind: 'delete', objects, bytes } };
    });
}
