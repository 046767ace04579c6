import type { LiveHub } from './hub.ts';

export interface ChangeSignal {
  /** Resolves at the next change (at once when one came since the last call), when the signal aborts, or after `atMostMs`. */
  next(signal: AbortSignal, atMostMs: number): Promise<void>;
  stop(): void;
}

/** Turns the hub's calls into something to await, so that no change between two looks is missed. */
export function changeSignal(hub: LiveHub, jobId: string): ChangeSignal {
  let changed = false;
  let wake: (() => void) | undefined;
  const unsubscribe = hub.subscribe(jobId, () => {
    changed = true;
    wake?.();
  });
  return {
    async next(signal, atMostMs) {
      if (!changed && !signal.aborted) {
        await new Promise<void>((resolve) => {
          const timer = setTimeout(done, atMostMs);
          function done(): void {
            clearTimeout(timer);
            signal.removeEventListener('abort', done);
            wake = undefined;
            resolve();
          }
          wake = done;
          signal.addEventListener('abort', done, { once: true });
        });
      }
      changed = false;
    },
    stop: unsubscribe,
  };
}
