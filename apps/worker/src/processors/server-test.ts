import type { ServerTestPlan, ServerTestResult } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import type { Processor } from '../job-context.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Connects and looks what the server has. A server that cannot be reached is a completed test that says so. */
export function createServerTestProcessor(deps: WorkerDeps): Processor<ServerTestPlan> {
  return async ({ plan, signal, report }) => {
    const started = performance.now();
    try {
      const pinned = plan.server.kind === 'local' || plan.server.hostKey !== null;
      const session = await report.step('connect', `Connecting to ${plan.server.name}`, () =>
        deps.connect(plan.server, { signal, pinning: pinned ? 'required' : 'first-sight' }),
      );
      const latencyMs = Math.round(performance.now() - started);
      try {
        const found = await report.step('probe', 'Looking for tools', () => session.capabilities(signal));
        const result: ServerTestResult = {
          kind: 'server-test',
          reachable: true,
          fingerprint: session.fingerprint,
          tools: found.tools,
          user: found.user,
          isRoot: found.uid === 0,
          latencyMs,
          failure: null,
        };
        return { state: 'completed', result };
      } finally {
        await session.close();
      }
    } catch (error) {
      signal.throwIfAborted();
      const result: ServerTestResult = {
        kind: 'server-test',
        reachable: false,
        fingerprint: seenFingerprint(error),
        tools: {},
        user: null,
        isRoot: false,
        latencyMs: null,
        failure: toFailure(error),
      };
      return { state: 'completed', result };
    }
  };
}

/** The key that the host showed before the connection failed, where it came that far. */
function seenFingerprint(error: unknown): string | null {
  if (!(error instanceof AppError) || typeof error.details !== 'object' || error.details === null)
    return null;
  const { fingerprint } = error.details as { fingerprint?: unknown };
  return typeof fingerprint === 'string' ? fingerprint : null;
}
