import type { Failure, RestoreResult } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import { tryToForgetAll } from './files.ts';
import { operatorWords } from './operator-words.ts';
import { type PutBack, putBack, tellTroubles } from './put-back.ts';
import { foldersOf, noteIfPossible, type RestoreRun, sentence } from './restore-run.ts';

interface Ending extends PutBack {
  outcome: RestoreResult['outcome'];
}

/** Decides what the fault means for what is on the server, and writes that down before anything is done about it. */
export async function turnBack(run: RestoreRun, reason: unknown): Promise<void> {
  const { phase } = run.journal;
  const failure: Failure = { ...toFailure(reason), retryable: false };
  // Half-way the old files are all there is to go back to; afterwards it is for the user to say.
  const undoFiles = phase === 'applying' || (phase === 'starting' && run.context.plan.rollback);
  await noteIfPossible(run, { phase: 'undoing', failure, undoFiles, before: phase });
}

/**
 * Puts everything back as the journal says, and ends with the failure that made it necessary: it always throws. May
 * be repeated from its beginning by another attempt.
 */
export async function goBack(run: RestoreRun): Promise<never> {
  const { before, undoFiles } = run.journal;
  if (before === 'preparing') {
    await tryToForgetAll(run, false);
    return end(run, { outcome: 'unchanged', troubles: [], stuck: null });
  }
  const found = undoFiles ? await putBack(run) : await startAgain(run);
  if (found.stuck) return end(run, { ...found, outcome: 'failed' });
  await tryToForgetAll(run, before === 'starting' && !undoFiles && run.context.plan.keepHours > 0);
  return end(run, { ...found, outcome: outcomeOf(run) });
}

/** Of the files, nothing is to go back. */
async function startAgain(run: RestoreRun): Promise<PutBack> {
  const troubles = await run.context.report.step(
    'rollback',
    'Starting the services again',
    () => run.services.start(run.journal.up, run.alive),
    (found) => ({
      message: tellTroubles('The files were left as they are', found),
      details: { files: 'as they were', troubles: found },
    }),
  );
  return { troubles, stuck: null };
}

function outcomeOf({ journal, context }: RestoreRun): RestoreResult['outcome'] {
  if (journal.before === 'starting' && !journal.undoFiles) return 'failed';
  if (journal.before === 'preparing') return 'unchanged';
  return context.plan.rollback || journal.undoFiles ? 'rolled_back' : 'unchanged';
}

/** Writes the end down, then throws it. */
async function end(run: RestoreRun, found: Ending): Promise<never> {
  const { journal, context } = run;
  const { outcome, troubles, stuck } = found;
  const failure = journal.failure ?? toFailure(null);
  const kept = stuck !== null || (outcome === 'failed' && context.plan.keepHours > 0);
  const names = journal.parts.map(({ service }) => service);
  const result: RestoreResult = {
    kind: 'restore',
    outcome,
    rollbackPath: kept ? (foldersOf(run)[0] ?? null) : null,
    notRunning: troubles.map(({ service }) => service),
    restored: outcome === 'failed' && stuck === null ? names : [],
    failed: names.map((service) => ({ service, failure })),
    ...{ filesRestored: 0, filesSkipped: 0, bytesRestored: 0 },
  };
  const words = [sentence(failure.message), endWords(run, found, result)];
  const told: Failure = { ...failure, message: words.filter(Boolean).join(' ') };
  await noteIfPossible(run, {
    phase: 'ended',
    end: { result, failure: told },
  });
  throw asError(told, result);
}

function endWords(run: RestoreRun, { outcome, troubles, stuck }: Ending, result: RestoreResult): string {
  const hints = operatorWords(run, result);
  const look = troubles.map(({ service, message }) => sentence(`${service}: ${message}`)).join(' ');
  const services = look === '' ? '' : `Look at these services: ${look}`;
  const words = (...parts: string[]): string => parts.filter(Boolean).join(' ');
  if (stuck) return words(`ROLLING BACK FAILED, TOO: ${sentence(stuck.message)}`, services, hints);
  switch (outcome) {
    case 'rolled_back':
      return words('System rolled back to previous state.', services, services && hints);
    case 'failed':
      return words('No rollback point was asked for: the restored files stay in place.', services, hints);
    default:
      return words(services, services && hints);
  }
}

export function asError(failure: Failure, result: RestoreResult): AppError {
  return new AppError(failure.code, failure.message, { details: result });
}
