import type { RestoreResult, RollbackPlan, RollbackResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobContext, Outcome } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { forgetAll, tryToForgetAll, whyNotUndoable } from './files.ts';
import { patiently } from './interruption.ts';
import { onServer } from './on-server.ts';
import { operatorWords } from './operator-words.ts';
import { putBack } from './put-back.ts';
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
  const end = assertEnded(run);
  const names = run.journal.parts.map(({ service }) => service);
  if (end.outcome === 'rolled_back' && run.journal.phase === 'ended') return resultOf(run, names, []);
  if (run.journal.phase === 'ended') await begin(run, end);
  const { troubles, stuck } = await putBack(run);
  if (stuck) throw asFailure(run, troubles, stuck);
  await tryToForgetAll(run, false);
  await note(run, {
    phase: 'ended',
    end: { result: { ...end, outcome: 'rolled_back', rollbackPath: null }, failure: null },
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
  // What the restore could not start again ran before it, and is to run after.
  const left = run.journal.up.filter((id) =>
    run.services.namesOf([id]).some((name) => end.notRunning.includes(name)),
  );
  const up = [...new Set([...(await run.services.findUp(signal)), ...left])];
  await patiently(() => delivery.assertOwned(), signal);
  await note(run, { phase: 'undoing', up, undoFiles: true, before: 'starting' });
}

function asFailure(run: OnServer<RollbackPlan>, troubles: readonly Trouble[], stuck: AppError): AppError {
  const words = {
    notRunning: troubles.map(({ service }) => service),
    rollbackPath: foldersOf(run)[0] ?? null,
  };
  const message = `ROLLING BACK FAILED: ${sentence(stuck.message)} ${operatorWords(run, words)}`;
  return new AppError('RESTORE_FAILED', message, { cause: stuck });
}

async function forget(run: OnServer<RollbackPlan>): Promise<RollbackResult> {
  const end = assertEnded(run);
  if (run.journal.phase !== 'ended') {
    throw new AppError('CONFLICT', 'The restore is being taken back: its way back is needed.');
  }
  await run.context.report.step('forget', 'Removing what was there before the restore', () =>
    forgetAll(run, false),
  );
  await note(run, {
    phase: 'ended',
    end: { result: { ...end, rollbackPath: null }, failure: run.journal.failure },
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
