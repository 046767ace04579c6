import type { RestorePlan, RollbackPlan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobContext } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { type Attempt, takeGuard } from './guard.ts';
import { isInterruption, pause, withoutCancel } from './interruption.ts';
import { newJournal, readJournal } from './journal.ts';
import type { OnServer } from './restore-run.ts';
import { createRunningServices } from './running-services.ts';

/** Between two tries to reach a server on which something may stand half-way, in milliseconds. */
const FIRST_PAUSE_MS = 1_000;
const MAX_PAUSE_MS = 30_000;
/** After the server was reached last. */
const GIVE_UP_MS = 24 * 3600_000;
const CANCELLED_GIVE_UP_MS = 3600_000;
/** Of other faults that may pass. */
const MAX_FAULTS = 10;

interface State<P extends RestorePlan | RollbackPlan> {
  /** The newest, on the newest connection. */
  run: OnServer<P> | null;
  reachedAt: number;
}

/**
 * Runs an action under the guard on the server. A connection that breaks once something may have changed there is
 * made again, for a day, and the action run again: nobody else would start the services. Errors: the action's own;
 * RESTORE_FAILED, not to be tried again, when the server stays out of reach.
 */
export async function onServer<P extends RestorePlan | RollbackPlan, T>(
  deps: WorkerDeps,
  context: JobContext<P>,
  own: Attempt,
  action: (run: OnServer<P>) => Promise<T>,
): Promise<T> {
  const alive = withoutCancel(context.signal);
  const state: State<P> = { run: null, reachedAt: performance.now() };
  const { plan } = context;
  const mayHaveBegun = (): boolean => {
    // Removing a way back leaves nothing half-way: it is asked for again.
    if (plan.kind === 'rollback' && plan.action === 'forget') return false;
    const phase = state.run?.journal.phase;
    if (phase === 'ended' && plan.kind === 'rollback') return false;
    if (phase) return phase !== 'preparing';
    return !isFirstAttempt(context.delivery.attempt);
  };
  let faults = 0;
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(MAX_PAUSE_MS, pauseMs * 2)) {
    if (!mayHaveBegun()) context.signal.throwIfAborted();
    const reachedBefore = state.reachedAt;
    try {
      return await connectAndRun(deps, context, own, alive, state, action);
    } catch (error) {
      alive.throwIfAborted();
      if (!mayHaveBegun() || !mayPass(error)) throw error;
      if (state.reachedAt !== reachedBefore) pauseMs = FIRST_PAUSE_MS;
      faults += isInterruption(error) ? 0 : 1;
      const patience = context.signal.aborted ? CANCELLED_GIVE_UP_MS : GIVE_UP_MS;
      if (faults > MAX_FAULTS || performance.now() - state.reachedAt > patience) {
        throw halfWay(context.plan, error);
      }
      context.log.warn({ err: error, pauseMs }, 'broken off on the server, and going on there soon');
    }
    await pause(pauseMs, alive);
  }
}

async function connectAndRun<P extends RestorePlan | RollbackPlan, T>(
  deps: WorkerDeps,
  context: JobContext<P>,
  own: Attempt,
  alive: AbortSignal,
  state: State<P>,
  action: (run: OnServer<P>) => Promise<T>,
): Promise<T> {
  const { plan, report } = context;
  const { session, guard } = await report.step('connect', `Connecting to ${plan.server.name}`, async () => {
    const opened = await deps.connect(plan.server, { signal: alive });
    try {
      return { session: opened, guard: await takeGuard(opened, own, alive) };
    } catch (error) {
      await opened.close();
      throw error;
    }
  });
  try {
    const services = createRunningServices(plan, (service) =>
      deps.serviceOf(plan.server, { session, guard: guard.wrapService }, service),
    );
    const journal = guard.found ? readJournal(guard.found, own.jobId) : newJournal(own.jobId);
    state.run = { deps, context, guard, journal, services, alive };
    state.reachedAt = performance.now();
    return await action(state.run);
  } finally {
    await session.close();
  }
}

/** The queue counts attempts by dispatches (thousands) and starts. */
function isFirstAttempt(attempt: number): boolean {
  return attempt <= 1_001;
}

function mayPass(error: unknown): boolean {
  return !(error instanceof AppError) || error.retryable || isInterruption(error);
}

function halfWay(plan: RestorePlan | RollbackPlan, cause: unknown): AppError {
  const names = plan.services.map(({ name }) => name).join(', ');
  const id = plan.kind === 'restore' ? plan.jobId : plan.restoreJobId;
  const reason =
    cause instanceof AppError ? cause.message : 'An unexpected fault; see the log of the worker.';
  const look = names === '' ? '' : ` Look at these services: ${names}.`;
  return new AppError(
    'RESTORE_FAILED',
    `${reason} The restore may stand half-way on ${plan.server.name}: its journal, restores/${id}/journal.json in Tarfleet's folder there (/var/lib/tarfleet, or .tarfleet in the user's home), says how far it came.${look}`,
    { cause },
  );
}
