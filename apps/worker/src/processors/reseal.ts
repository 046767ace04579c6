import type { ResealPlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Seals a server's credentials again, for the pool's current key: the second half of rotating a pool's key. */
export function createResealProcessor(deps: WorkerDeps): Processor<ResealPlan> {
  return async ({ plan }) => ({
    state: 'completed',
    result: { kind: 'reseal', serverId: plan.serverId, secrets: await deps.reseal(plan) },
  });
}
