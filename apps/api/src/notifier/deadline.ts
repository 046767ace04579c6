export interface Deadline {
  /** Aborts when the time is over, or with the signal that it was made from. */
  signal: AbortSignal;
  /** Whether it was the time. */
  over(): boolean;
  /** Ends the timer; to be called in any case. */
  done(): void;
}

/** Of one try. Leaves nothing behind at `outer`, which lives as long as the process. */
export function startDeadline(ms: number, outer: AbortSignal): Deadline {
  const controller = new AbortController();
  let over = false;
  const timer = setTimeout(() => {
    over = true;
    controller.abort();
  }, ms);
  const stop = (): void => controller.abort();
  outer.addEventListener('abort', stop, { once: true });
  if (outer.aborted) stop();
  return {
    signal: controller.signal,
    over: () => over,
    done() {
      clearTimeout(timer);
      outer.removeEventListener('abort', stop);
    },
  };
}
