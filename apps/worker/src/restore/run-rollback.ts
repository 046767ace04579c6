import type { RestoreResult, RollbackPlan, RollbackResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobContext, Outcome } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { forgetAll, undoAll, whyNotUndoable } from './files.ts';
import { patiently } from './interruption.ts';
import { onServer } from './on-server.ts';
import { operatorWords } from './operator-words.ts';
import { foldersOf, note, type OnServer, sentence } from './restore-run.ts';
import type { Trouble } from './running-services.ts';

/**
 * Takes a finished restore back, or removes what would be needed for that. May be repeated; what is done already is
 * not done again. Errors: CONFLICT (there is no way back, or something else has been put in its place since; nothing
 * was changed), RESTORE_FAILED with what is where.
 */
export async function runRollback(deps: WorkerDeps, context: JobContext<RollbackPlan>): Promise<Outcome> {
  const { plan, delivery } = context;
  // Behind every attempt at the restore itself, and behind earlier rollbacks.
  const attempt = Date.parse(plan.issuedAt) * 1_000 + delivery.attempt;
  const own = { jobId: plan.restoreJobId, attempt, token: delivery.token };
  return onServer(deps, context, own, async (run) => {
    const result = plan.action === 'undo' ? await undo(run) : await forget(run);
    return { state: 'completed', result };
  });
}

async function undo(run: OnServer<RollbackPlan>): Promise<RollbackResult> {
  const { context } = run;
  const end = assertEnded(run);
  const names = run.journal.parts.map(({ service }) => service);
  if (end.outcome === 'rolled_back' && run.journal.phase === 'ended') return resultOf(run, names, []);
  if (run.journal.phase === 'ended') await begin(run, end);
  const troubles = await context.report.step(
    'rollback',
    'Putting everything back as it was',
    () => takeBack(run),
    (found) => ({
      message:
        found.length === 0
          ? 'Everything is as it was before the restore'
          : 'The files are the old ones again',
      details: { troubles: found },
    }),
  );
  await forgetAll(run, false);
  await note(run, {
    phase: 'ended',
    end: {
      result: { ...end, outcome: 'rolled_back', rollbackPath: null },
      failure: null,
      cancelled: false,
    },
  });
  return resultOf(run, names, troubles);
}

/** Nothing is changed before the way back is known to be whole. */
async function begin(run: OnServer<RollbackPlan>, end: RestoreResult): Promise<void> {
  const { signal, delivery, plan } = run.context;
  signal.throwIfAborted();
  const reason = end.rollbackPath === null ? 'its way back has been removed.' : await whyNotUndoable(run);
  if (reason !== null) {
    throw new AppError('CONFLICT', `The restore ${plan.restoreJobId} cannot be taken back: ${reason}`);
  }
  const up = await run.services.findUp(signal);
  await patiently(() => delivery.assertOwned(), signal);
  await note(run, { phase: 'undoing', up, undoFiles: true, before: 'starting' });
}

async function takeBack(run: OnServer<RollbackPlan>): Promise<Trouble[]> {
  const { up } = run.journal;
  try {
    await run.services.stop(up, run.alive);
    await undoAll(run);
  } catch (error) {
    run.alive.throwIfAborted();
    if (!(error instanceof AppError) || error.retryable) throw error;
    const down = await run.services.start(up, run.alive);
    const words = { notRunning: down.map(({ service }) => service), rollbackPath: foldersOf(run)[0] ?? null };
    throw new AppError(
      'RESTORE_FAILED',
      `ROLLING BACK FAILED: ${sentence(error.message)} ${operatorWords(run, words)}`,
      { cause: error },
    );
  }
  const down = await run.services.start(up, run.alive);
  if (down.length > 0 || !run.context.plan.healthChecks) return down;
  return run.services.check(up, run.alive);
}

async function forget(run: OnServer<RollbackPlan>): Promise<RollbackResult> {
  const end = assertEnded(run);
  if (run.journal.phase !== 'ended') {
    throw new AppError('CONFLICT', 'The restore is being taken back: its way back is needed.');
  }
  await run.context.report.step('forget', 'Removing what was there before the restore', async () => {
    for (const { prepared } of run.journal.parts) {
      const source = run.deps.sourceOf('files');
      const warn = run.context.report.warn;
      await source.forget(
        prepared,
        { session: run.guard.session, signal: run.context.signal, warn },
        { keepOld: false },
      );
    }
  });
  await note(run, {
    phase: 'ended',
    end: { result: { ...end, rollbackPath: null }, failure: run.journal.failure, cancelled: false },
  });
  return resultOf(run, [], []);
}

function assertEnded({ journal, context }: OnServer<RollbackPlan>): RestoreResult {
  if (journal.end) return journal.end.result;
  throw new AppError(
    'CONFLICT',
    `The server ${context.plan.server.name} has no record of the end of the restore ${context.plan.restoreJobId}.`,
  );
}

function resultOf(
  run: OnServer<RollbackPlan>,
  restored: string[],
  troubles: readonly Trouble[],
): RollbackResult {
  const { action } = run.context.plan;
  return { kind: 'rollback', action, restored, notRunning: troubles.map(({ service }) => service) };
}
