import type { PreparedRestore, RestoreContext, RestoreSummary } from '../../../types.ts';
import { readState } from './prepared-state.ts';
import { findSurvivors, runSwap } from './swap.ts';

/** Puts in place what is prepared; see `RestoreSteps`. */
export async function apply(prepared: PreparedRestore, context: RestoreContext): Promise<RestoreSummary> {
  const state = readState(prepared);
  const summary: RestoreSummary = { filesRestored: 0, filesSkipped: 0, bytesRestored: 0 };
  for (const stage of state.stages) {
    await findSurvivors(context, state, stage);
    await runSwap(context, state, stage, 'check');
  }
  for (const stage of state.stages) {
    await runSwap(context, state, stage, 'apply');
    summary.filesRestored += stage.files;
    summary.bytesRestored += stage.bytes;
  }
  return summary;
}

export async function undo(prepared: PreparedRestore, context: RestoreContext): Promise<void> {
  const state = readState(prepared);
  for (const stage of state.stages.toReversed()) await runSwap(context, state, stage, 'undo');
}
