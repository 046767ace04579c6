import type { DestinationTestPlan } from '@tarfleet/contracts';
import { toFailure } from '@tarfleet/kernel';
import type { Processor } from '../job-context.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

const UNREACHED = new Set(['DESTINATION_UNREACHABLE', 'DESTINATION_NOT_FOUND', 'LOCAL_NOT_ALLOWED']);

/** Writes, reads and deletes a small object. A destination that fails is a completed test that says so. */
export function createDestinationTestProcessor(deps: WorkerDeps): Processor<DestinationTestPlan> {
  return async ({ plan, signal, report }) => {
    const started = performance.now();
    try {
      await report.step('check', `Writing to ${plan.destination.name}`, () =>
        withStorage(deps, plan.destination, (storage) => storage.check(signal)),
      );
      const latencyMs = Math.round(performance.now() - started);
      return {
        state: 'completed',
        result: { kind: 'destination-test', reachable: true, writable: true, latencyMs, failure: null },
      };
    } catch (error) {
      signal.throwIfAborted();
      const failure = toFailure(error);
      const reachable = !UNREACHED.has(failure.code);
      return {
        state: 'completed',
        result: { kind: 'destination-test', reachable, writable: false, latencyMs: null, failure },
      };
    }
  };
}
