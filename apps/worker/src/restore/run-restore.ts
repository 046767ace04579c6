import type { RestorePlan, RestoreResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobContext, Outcome } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { tryToForgetAll } from './files.ts';
import { complete, goForward } from './forward.ts';
import { asError, goBack, turnBack } from './going-back.ts';
import { tidyJournals } from './guard.ts';
import { handBackRecords } from './hand-back-records.ts';
import { isCancel, isHandover, isInterruption } from './interruption.ts';
import { onServer } from './on-server.ts';
import { noteIfPossible, type RestoreRun } from './restore-run.ts';

/**
 * One attempt at a restore: from wherever the journal on the server stands to its end, which is one of three: done,
 * everything back as it was, or, where that fails too, a message that says what is where.
 */
export async function runRestore(deps: WorkerDeps, context: JobContext<RestorePlan>): Promise<Outcome> {
  const { attempt, token } = context.delivery;
  return onServer(deps, context, { jobId: context.plan.jobId, attempt, token }, async (run) => {
    const outcome = await drive(run);
    await tidyJournals(run.guard.session, context.plan.jobId, run.alive).catch((error: unknown) =>
      context.log.warn({ err: error }, 'old journals not removed'),
    );
    return outcome;
  });
}

async function drive(run: RestoreRun): Promise<Outcome> {
  const { end, phase } = run.journal;
  if (end) {
    // Delivered once more: what was done is not done again, but for what the attempt that wrote this may have left.
    if (end.failure) throw asError(end.failure, end.result);
    const records = await handBackIfPossible(run);
    if (end.result.outcome === 'restored') await complete(run, end.result);
    return completed(end.result, records);
  }
  if (phase === 'undoing') return goBack(run);
  try {
    const { signal } = run.context;
    const records =
      phase === 'preparing'
        ? await handBackRecords(run.deps, run.context, signal)
        : await handBackIfPossible(run);
    return completed(await goForward(run), records);
  } catch (thrown) {
    run.alive.throwIfAborted();
    const { signal } = run.context;
    const reason: unknown = signal.aborted ? signal.reason : thrown;
    if (isHandover(thrown) || (isInterruption(thrown) && !isCancel(reason))) throw thrown;
    if (run.journal.phase === 'ended') throw thrown;
    if (run.journal.phase === 'preparing' && isRetryable(reason)) {
      // Nothing has been changed, and the next try may find what this one did not.
      const parts = await tryToForgetAll(run, false);
      // Names that are given up may be others' by the next try.
      await noteIfPossible(run, { phase: 'preparing', parts });
      throw reason;
    }
    await turnBack(run, reason);
  }
  return goBack(run);
}

function completed(result: RestoreResult, records: number | undefined): Outcome {
  return { state: 'completed', result: records === undefined ? result : { ...result, records } };
}

/** Once something may have been changed, unreadable records are no reason to leave it so: the API sees that they are missing. */
async function handBackIfPossible(run: RestoreRun): Promise<number | undefined> {
  try {
    return await handBackRecords(run.deps, run.context, run.alive);
  } catch (error) {
    run.alive.throwIfAborted();
    run.context.log.error({ err: error }, "the project's own records were not handed back");
    return undefined;
  }
}

function isRetryable(error: unknown): boolean {
  return !(error instanceof AppError) || error.retryable;
}
