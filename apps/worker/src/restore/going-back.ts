import type { Failure, RestoreResult } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import { forgetAll, undoAll } from './files.ts';
import { isCancel } from './interruption.ts';
import { operatorWords } from './operator-words.ts';
import { foldersOf, noteIfPossible, type RestoreRun, sentence } from './restore-run.ts';
import type { Trouble } from './running-services.ts';

/** How often going back is tried before people are called. */
const TRIES = 3;

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
  const { journal, context, services } = run;
  const { before, undoFiles } = journal;
  let troubles: Trouble[] = [];
  if (before === 'preparing') {
    await forgetAll(run, false);
  } else {
    try {
      troubles = await context.report.step(
        'rollback',
        undoFiles ? 'Putting everything back as it was' : 'Starting the services again',
        async () => {
          for (let tries = 1; undoFiles; tries += 1) {
            try {
              await services.stop(journal.up, run.alive);
              await undoAll(run);
              break;
            } catch (error) {
              if (tries >= TRIES || !(error instanceof AppError) || error.retryable) throw error;
            }
          }
          const down = await services.start(journal.up, run.alive);
          const healthy = undoFiles && context.plan.healthChecks && down.length === 0;
          return healthy ? services.check(journal.up, run.alive) : down;
        },
        (found) => ({
          message: rolledBackMessage(undoFiles, found),
          details: { files: undoFiles ? 'old' : 'as they were', troubles: found },
        }),
      );
    } catch (error) {
      run.alive.throwIfAborted();
      if (!(error instanceof AppError) || error.retryable) throw error;
      return end(run, { outcome: 'failed', troubles: [], stuck: error });
    }
    await forgetAll(run, before === 'starting' && !undoFiles && context.plan.keepHours > 0);
  }
  return end(run, { outcome: outcomeOf(run), troubles, stuck: null });
}

function outcomeOf({ journal, context }: RestoreRun): RestoreResult['outcome'] {
  if (journal.before === 'starting' && !journal.undoFiles) return 'failed';
  if (journal.before === 'preparing') return 'unchanged';
  return context.plan.rollback || journal.undoFiles ? 'rolled_back' : 'unchanged';
}

/** Writes the end down, then throws it. */
async function end(
  run: RestoreRun,
  found: { outcome: RestoreResult['outcome']; troubles: Trouble[]; stuck: AppError | null },
): Promise<never> {
  const { journal, context, services } = run;
  const { outcome, troubles, stuck } = found;
  const failure = journal.failure ?? toFailure(null);
  const kept = stuck !== null || (outcome === 'failed' && context.plan.keepHours > 0);
  const names = journal.parts.map(({ service }) => service);
  const result: RestoreResult = {
    kind: 'restore',
    outcome,
    rollbackPath: kept ? (foldersOf(run)[0] ?? null) : null,
    notRunning: stuck ? services.namesOf(journal.up) : troubles.map(({ service }) => service),
    restored: outcome === 'failed' && stuck === null ? names : [],
    failed: names.map((service) => ({ service, failure })),
    ...{ filesRestored: 0, filesSkipped: 0, bytesRestored: 0 },
  };
  const words = [sentence(failure.message), endWords(run, found, result)];
  const told: Failure = { ...failure, message: words.filter(Boolean).join(' ') };
  await noteIfPossible(run, {
    phase: 'ended',
    end: { result, failure: told, cancelled: isCancel(context.signal.reason) },
  });
  throw asError(told, result);
}

function endWords(
  run: RestoreRun,
  {
    outcome,
    troubles,
    stuck,
  }: { outcome: RestoreResult['outcome']; troubles: Trouble[]; stuck: AppError | null },
  result: RestoreResult,
): string {
  if (stuck) {
    return `ROLLING BACK FAILED, TOO: ${sentence(stuck.message)} ${operatorWords(run, result)}`;
  }
  const down = troubles.map(({ service, message }) => sentence(`${service}: ${message}`)).join(' ');
  const services = down === '' ? '' : `Look at these services: ${down} ${operatorWords(run, result)}`;
  switch (outcome) {
    case 'rolled_back':
      return `System rolled back to previous state. ${services}`.trim();
    case 'failed':
      return `No rollback point was asked for: the restored files stay in place. ${services} ${operatorWords(run, result)}`.trim();
    default:
      return services;
  }
}

function rolledBackMessage(undoFiles: boolean, troubles: readonly Trouble[]): string {
  const files = undoFiles ? 'Everything is as it was' : 'The files were left as they are';
  if (troubles.length === 0) return `${files}, and the services run`;
  return `${files}, but not all is well: ${troubles.map((one) => `${one.service}: ${one.message}`).join('; ')}`;
}

export function asError(failure: Failure, result: RestoreResult): AppError {
  return new AppError(failure.code, failure.message, { details: result });
}
