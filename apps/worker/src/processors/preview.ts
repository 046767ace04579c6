import type { PreviewPlan } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { runPreview } from '../restore/run-preview.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Looks what a restore would find and change. */
export function createPreviewProcessor(deps: WorkerDeps): Processor<PreviewPlan> {
  return async (context) => ({ state: 'completed', result: await runPreview(deps, context) });
}
