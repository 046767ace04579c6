import { timeLimit } from '@tarfleet/kernel';

const CLEANUP_MS = 10 * 60_000;

/**
 * The same context with a signal of its own, of ten minutes: what a failed attempt made on a server is removed also
 * when it failed because it was aborted.
 */
export function cleaning<T extends { signal: AbortSignal }>(context: T): T {
  return { ...context, signal: timeLimit(CLEANUP_MS) };
}
