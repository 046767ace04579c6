/** Gives back the place; safe to call twice. */
export type Release = () => void;

export interface Limiter {
  /** Waits for a free place, first come first served. Rejects with the signal's reason when it is aborted first. */
  acquire(signal?: AbortSignal): Promise<Release>;
}

/** At most `places` holders at a time. */
export function createLimiter(places: number): Limiter {
  let free = places;
  const waiting: (() => void)[] = [];
  const take = (): Release => {
    free -= 1;
    let held = true;
    return () => {
      if (!held) return;
      held = false;
      free += 1;
      waiting.shift()?.();
    };
  };
  return {
    acquire(signal) {
      if (signal?.aborted) return Promise.reject(signal.reason);
      if (free > 0) return Promise.resolve(take());
      return new Promise((resolve, reject) => {
        const go = (): void => {
          signal?.removeEventListener('abort', leave);
          resolve(take());
        };
        const leave = (): void => {
          waiting.splice(waiting.indexOf(go), 1);
          reject(signal?.reason);
        };
        waiting.push(go);
        signal?.addEventListener('abort', leave, { once: true });
      });
    },
  };
}
