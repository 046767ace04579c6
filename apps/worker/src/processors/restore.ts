import type { RestorePlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { runRestore } from '../restore/run-restore.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Puts services' files back on a server, as a transaction. */
export function createRestoreProcessor(deps: WorkerDeps): Processor<RestorePlan> {
  return (context) => runRestore(deps, context);
}
