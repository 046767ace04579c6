import type { RollbackPlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { runRollback } from '../restore/run-rollback.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Takes a finished restore back, or removes its way back. */
export function createRollbackProcessor(deps: WorkerDeps): Processor<RollbackPlan> {
  return (context) => runRollback(deps, context);
}
