import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';

/** Faults of the way to the server, which say nothing of what is on it. */
const INTERRUPTIONS = new Set(['CONNECTION_LOST', 'SERVER_UNREACHABLE']);
/** Ends of an attempt, not of the job: another one goes on. */
const HANDOVERS = new Set(['ATTEMPT_SUPERSEDED', 'WORKER_STOPPING']);

export function isInterruption(error: unknown): boolean {
  return error instanceof AppError && INTERRUPTIONS.has(error.code);
}

export function isHandover(error: unknown): boolean {
  return error instanceof AppError && HANDOVERS.has(error.code);
}

export function isCancel(error: unknown): boolean {
  return error instanceof AppError && error.code === 'CANCELLED';
}

/** The same signal, but for the job's cancelling. */
export function withoutCancel(signal: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const pass = (): void => {
    if (!isCancel(signal.reason)) controller.abort(signal.reason);
  };
  if (signal.aborted) pass();
  else signal.addEventListener('abort', pass, { once: true });
  return controller.signal;
}

const QUEUE_PATIENCE_MS = 10 * 60_000;

/** Asks the queue until it answers: a queue that is down for a while is no reason to give a restore up. */
export async function patiently(ask: () => Promise<void>, signal: AbortSignal): Promise<void> {
  const until = performance.now() + QUEUE_PATIENCE_MS;
  for (let pauseMs = 250; ; pauseMs = Math.min(5_000, pauseMs * 2)) {
    try {
      return await ask();
    } catch (error) {
      const down = error instanceof AppError && error.code === 'UNAVAILABLE';
      if (!down || performance.now() > until) throw error;
    }
    await pause(pauseMs, signal);
  }
}

/** Rejects with the signal's own reason. */
export async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
  signal.throwIfAborted();
}
