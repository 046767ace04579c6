import type { DestinationTestPlan } from '@tarfleet/contracts';
import { AppError, timeLimit, toFailure } from '@tarfleet/kernel';
import type { Processor } from '../job-context.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

const UNREACHED = new Set(['DESTINATION_UNREACHABLE', 'DESTINATION_NOT_FOUND', 'LOCAL_NOT_ALLOWED']);

/** Shorter than whoever asks waits, so that the reason reaches them. */
const PATIENCE_MS = 20_000;

/** Writes, reads and deletes a small object. A destination that fails is a completed test that says so. */
export function createDestinationTestProcessor(
  deps: Pick<WorkerDeps, 'openStorage'>,
  patienceMs = PATIENCE_MS,
): Processor<DestinationTestPlan> {
  return async ({ plan, signal, report }) => {
    const started = performance.now();
    const limit = timeLimit(patienceMs);
    try {
      const both = AbortSignal.any([signal, limit]);
      const checked = withStorage(deps, plan.destination, (storage) => storage.check(both));
      // What waits for a mute server may not hear of the limit: then it ends later, and nobody minds how.
      checked.catch(() => undefined);
      await report.step('check', `Writing to ${plan.destination.name}`, () =>
        Promise.race([checked, rejected(both)]),
      );
      const latencyMs = Math.round(performance.now() - started);
      return {
        state: 'completed',
        result: { kind: 'destination-test', reachable: true, writable: true, latencyMs, failure: null },
      };
    } catch (error) {
      signal.throwIfAborted();
      const failure = toFailure(
        limit.aborted ? mute(plan.destination.name, performance.now() - started) : error,
      );
      const reachable = !UNREACHED.has(failure.code);
      return {
        state: 'completed',
        result: { kind: 'destination-test', reachable, writable: false, latencyMs: null, failure },
      };
    }
  };
}

function mute(name: string, ms: number): AppError {
  return new AppError(
    'DESTINATION_UNREACHABLE',
    `${name} gave no answer within ${Math.round(ms / 1000)} seconds. Is it a server of this type that listens at this host and port, and does a firewall let the worker through?`,
  );
}

function rejected(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    const tell = (): void => reject(signal.reason);
    if (signal.aborted) tell();
    else signal.addEventListener('abort', tell, { once: true });
  });
}
