import type { PreparedRestore, RestoreContext, RestoreSummary } from '../../../types.ts';
import { createWarningLimiter } from '../../warnings.ts';
import { add, takeBack } from './add.ts';
import { inPlace } from './in-place.ts';
import { type PreparedState, readState } from './prepared-state.ts';
import { findSurvivors, runSwap } from './swap.ts';

/** Puts in place what is prepared; see `RestoreSteps`. */
export async function apply(prepared: PreparedRestore, given: RestoreContext): Promise<RestoreSummary> {
  const limiter = createWarningLimiter(given.warn);
  const context = { ...given, warn: limiter.warn };
  const state = readState(prepared);
  const summary: RestoreSummary = { filesRestored: 0, filesSkipped: 0, bytesRestored: 0 };
  try {
    await checkPlaces(context, state);
    for (const stage of state.stages) {
      await runSwap(context, state, stage, 'apply');
      await inPlace(context, state, stage).apply();
      const left = await add(context, stage);
      summary.filesRestored += stage.files - left.files;
      summary.filesSkipped += left.files;
      summary.bytesRestored += stage.bytes - left.bytes;
    }
    return summary;
  } finally {
    limiter.close();
  }
}

/** Whether what is to stay can stay, before anything is moved; of what was begun with already, nothing. RESTORE_FAILED. */
export async function checkPlaces(context: RestoreContext, state: PreparedState): Promise<void> {
  for (const stage of state.stages) {
    await findSurvivors(context, state, stage);
    await runSwap(context, state, stage, 'check');
    await inPlace(context, state, stage).check();
  }
}

/** Everything as it was; see `RestoreSteps`. What fails does not keep the rest from it. */
export async function undo(prepared: PreparedRestore, context: RestoreContext): Promise<void> {
  const state = readState(prepared);
  const faults: unknown[] = [];
  for (const stage of state.stages.toReversed()) {
    for (const step of [
      () => takeBack(context, stage),
      () => inPlace(context, state, stage).undo(),
      () => runSwap(context, state, stage, 'undo'),
    ]) {
      await step().catch((error: unknown) => faults.push(error));
      context.signal.throwIfAborted();
    }
  }
  if (faults.length > 0) throw faults[0];
}
