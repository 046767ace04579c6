/** The rate over the last seconds, in bytes a second, and from it the seconds left. */
export interface Pace {
  at(bytesDone: number): { bytesPerSecond: number | null; secondsLeft: number | null };
}

const WINDOW_MS = 10_000;

/** A moving rate, so that a slow start or a pause does not spoil the estimate for ever. `total` null: no estimate. */
export function createPace(total: number | null, now: () => number = Date.now): Pace {
  const seen: { at: number; bytes: number }[] = [{ at: now(), bytes: 0 }];
  return {
    at(bytes) {
      const at = now();
      const last = seen.at(-1);
      if (!last || at - last.at >= 250) seen.push({ at, bytes });
      while (seen.length > 2 && at - (seen[0]?.at ?? at) > WINDOW_MS) seen.shift();
      const first = seen[0];
      const elapsed = first ? (at - first.at) / 1000 : 0;
      if (!first || elapsed < 0.2) return { bytesPerSecond: null, secondsLeft: null };
      const bytesPerSecond = (bytes - first.bytes) / elapsed;
      const left = total === null ? null : Math.max(0, total - bytes);
      const secondsLeft = left === null || bytesPerSecond <= 0 ? null : left / bytesPerSecond;
      return { bytesPerSecond, secondsLeft };
    },
  };
}
