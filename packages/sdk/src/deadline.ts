/** A signal that follows another one and a clock. */
export interface Deadline {
  readonly signal: AbortSignal;
  /** Whether it was the clock. */
  timedOut(): boolean;
  /** Begins the time anew. */
  restart(): void;
  /** Lets go of clock and signal; to be called by whoever made it. */
  end(): void;
}

/** Aborts with `outer`, or when `ms` milliseconds have passed; without `ms`, never by itself. */
export function createDeadline(outer: AbortSignal | undefined, ms: number | undefined): Deadline {
  const controller = new AbortController();
  let late = false;
  let clock: ReturnType<typeof setTimeout> | undefined;
  const follow = (): void => controller.abort(outer?.reason);
  const restart = (): void => {
    clearTimeout(clock);
    if (ms === undefined) return;
    clock = setTimeout(() => {
      late = true;
      controller.abort();
    }, ms);
  };
  if (outer?.aborted) follow();
  else outer?.addEventListener('abort', follow, { once: true });
  restart();
  return {
    signal: controller.signal,
    timedOut: () => late,
    restart,
    end() {
      clearTimeout(clock);
      outer?.removeEventListener('abort', follow);
    },
  };
}

/** Rejects with the signal's reason when it is aborted first. */
export function pause(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(signal.reason);
    const stop = (): void => {
      clearTimeout(clock);
      reject(signal?.reason);
    };
    const clock = setTimeout(() => {
      signal?.removeEventListener('abort', stop);
      resolve();
    }, ms);
    signal?.addEventListener('abort', stop, { once: true });
  });
}
