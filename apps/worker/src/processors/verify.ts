import type { VerifyPlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { withStorage } from '../jobs/with-storage.ts';
import { verifyBackup } from '../verification/verify-backup.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Verification at any level. A backup that is not sound is a completed verification whose result says so. */
export function createVerifyProcessor(deps: WorkerDeps): Processor<VerifyPlan> {
  return (context) =>
    withStorage(deps, context.plan.destination, async (storage) => ({
      state: 'completed',
      result: await verifyBackup(deps, storage, context),
    }));
}
