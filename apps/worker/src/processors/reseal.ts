import type { ResealPlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Seals what a server's records hold for the pool again, for its current key: the second half of rotating that. */
export function createResealProcessor(deps: WorkerDeps): Processor<ResealPlan> {
  return async ({ plan }) => ({ state: 'completed', result: await deps.reseal(plan) });
}
