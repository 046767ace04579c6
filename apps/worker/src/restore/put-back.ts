import { AppError } from '@tarfleet/kernel';
import { undoAll } from './files.ts';
import { noteIfPossible, type OnServer } from './restore-run.ts';
import type { Trouble } from './running-services.ts';

/** How often it is tried before people are called. */
const TRIES = 3;

export interface PutBack {
  /** Services that do not run, or are not healthy. */
  troubles: Trouble[];
  /** Why it was given up; null when every file is the old one again. */
  stuck: AppError | null;
}

/**
 * The step in which the services that ran are stopped, every file goes back, and they are started and checked. May be
 * repeated by another attempt. When it is given up while files are half-way, no service is started on them; before
 * that, they run on the new ones. Throws what another try may get past, and faults of our own.
 */
export async function putBack(run: OnServer): Promise<PutBack> {
  let found: PutBack = { troubles: [], stuck: null };
  try {
    await run.context.report.step(
      'rollback',
      'Putting everything back as it was',
      async () => {
        found = await tryToPutBack(run);
        if (found.stuck) throw found.stuck;
      },
      () => ({
        message: tellTroubles('Everything is as it was', found.troubles),
        details: { files: 'old', troubles: found.troubles },
      }),
    );
  } catch (error) {
    if (error !== found.stuck) throw error;
  }
  return found;
}

export function tellTroubles(files: string, troubles: readonly Trouble[]): string {
  if (troubles.length === 0) return `${files}, and the services run`;
  return `${files}, but not all is well: ${troubles.map((one) => `${one.service}: ${one.message}`).join('; ')}`;
}

async function tryToPutBack(run: OnServer): Promise<PutBack> {
  const { services, alive, context } = run;
  const { up } = run.journal;
  const stuck = await undo(run);
  if (stuck && isHalfWay(run)) {
    const message = 'not started, since not all of its files are in their places';
    return { troubles: services.namesOf(up).map((service) => ({ service, message })), stuck };
  }
  const down = await services.start(up, alive);
  if (down.length > 0 || !context.plan.healthChecks) return { troubles: down, stuck };
  return { troubles: await services.check(up, alive), stuck };
}

async function undo(run: OnServer): Promise<AppError | null> {
  for (let tries = 1; ; tries += 1) {
    try {
      await run.services.stop(run.journal.up, run.alive);
      if (!isHalfWay(run)) await noteIfPossible(run, { phase: 'undoing', before: 'applying' });
      await undoAll(run);
      return null;
    } catch (error) {
      run.alive.throwIfAborted();
      if (!(error instanceof AppError) || error.retryable) throw error;
      if (tries >= TRIES) return error;
    }
  }
}

/** From here on the files are to be trusted only when all of them are back. */
function isHalfWay({ journal }: OnServer): boolean {
  return journal.before === 'applying';
}
