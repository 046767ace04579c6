import type { PreviewPlan, RestorePlan } from '@tarfleet/contracts';
import type { WorkerDeps } from '../worker-deps.ts';

/** On the worker's own machine not every database may be touched, and not everything may be run. LOCAL_NOT_ALLOWED, PATH_REFUSED. */
export async function assertDatabasesAllowed(
  deps: Pick<WorkerDeps, 'assertCommandsAllowed' | 'assertPathsAllowed'>,
  { server, databases = [] }: Pick<RestorePlan | PreviewPlan, 'server' | 'databases'>,
): Promise<void> {
  for (const { target } of databases) {
    deps.assertCommandsAllowed(server, `databases of the type ${target.type}`);
    if (target.type === 'sqlite') await deps.assertPathsAllowed(server, [target.path]);
  }
}
