import type { RestorePlan, RollbackPlan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '@tarfleet/sources';
import type { JobContext } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import type { Guard } from './guard.ts';
import { type Journal, type Phase, writeJournal } from './journal.ts';
import type { RunningServices } from './running-services.ts';

/** One attempt at a restore, or at taking it back, from the moment it may act on the server. */
export interface OnServer<P extends RestorePlan | RollbackPlan = RestorePlan | RollbackPlan> {
  deps: WorkerDeps;
  context: JobContext<P>;
  guard: Guard;
  /** As it stands on the server. */
  journal: Journal;
  services: RunningServices;
  /** The job's, without its cancelling: what puts things back goes on when somebody cancels. */
  alive: AbortSignal;
}
export type RestoreRun = OnServer<RestorePlan>;

/** Writes the journal with these changes, then counts on them. */
export async function note(run: OnServer, change: Partial<Journal> & { phase: Phase }): Promise<void> {
  const next = { ...run.journal, ...change };
  await writeJournal(run.guard, next, run.alive);
  run.journal = next;
}

/** As `note`, but what cannot be written does not keep anybody from going back. */
export async function noteIfPossible(
  run: OnServer,
  change: Partial<Journal> & { phase: Phase },
): Promise<void> {
  try {
    await note(run, change);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'COMMAND_FAILED' || error.retryable) throw error;
    run.context.log.error({ err: error, phase: change.phase }, 'journal not written on the server');
    run.journal = { ...run.journal, ...change };
  }
}

export function sourceContext(run: OnServer, signal: AbortSignal): RestoreContext {
  return {
    session: run.guard.session,
    signal,
    warn: (warning) => run.context.report.warn(warning),
  };
}

export function foldersOf({ journal }: Pick<OnServer, 'journal'>): string[] {
  return journal.parts.flatMap(({ prepared }) => prepared.folders);
}

/** As a sentence of its own, whoever wrote it. */
export function sentence(text: string): string {
  return /[.!?]$/.test(text) ? text : `${text}.`;
}
