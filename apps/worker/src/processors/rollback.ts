import type { RollbackPlan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Processor } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';

export function createRollbackProcessor(_deps: WorkerDeps): Processor<RollbackPlan> {
  return async () => {
    throw new AppError('NOT_SUPPORTED', 'This worker takes nothing back yet: update it.');
  };
}
