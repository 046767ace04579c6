import { AppError } from '@tarfleet/kernel';
import type { DueTimes } from './due-times.ts';

const SECONDS = { seconds: 1, minutes: 60, hours: 3600, days: 86_400, weeks: 604_800 } as const;
/** A schedule is looked at once a second, and a backup takes longer. */
const LEAST_SECONDS = 60;
const MOST_SECONDS = 10 * 366 * SECONDS.days;

/**
 * The times of an interval, `unit:value` as in `minutes:15`: each a whole number of intervals after the anchor, the
 * first one interval after it. Counted in real time: `days:1` is 24 hours, also where clocks change. So a restart, a
 * late run or a pause moves none of them. VALIDATION_FAILED when it is no interval.
 */
export function createIntervalTimes(interval: string, anchor: Date): DueTimes {
  const every = parseInterval(interval) * 1000;
  const first = anchor.getTime();
  return {
    next(after) {
      const passed = Math.max(0, Math.floor((after.getTime() - first) / every));
      return new Date(first + (passed + 1) * every);
    },
  };
}

/** In seconds. */
export function parseInterval(interval: string): number {
  const [, unit, value] = /^([a-z]{4,7}):([1-9]\d{0,8})$/.exec(interval) ?? [];
  const seconds = isUnit(unit) ? SECONDS[unit] * Number(value) : Number.NaN;
  if (seconds >= LEAST_SECONDS && seconds <= MOST_SECONDS) return seconds;
  throw new AppError(
    'VALIDATION_FAILED',
    Number.isNaN(seconds)
      ? `${interval} is no interval. It is a unit (${Object.keys(SECONDS).join(', ')}) and a number, such as minutes:15.`
      : `${interval} is out of range: an interval is at least a minute and at most ten years.`,
  );
}

function isUnit(unit: string | undefined): unit is keyof typeof SECONDS {
  return unit !== undefined && Object.hasOwn(SECONDS, unit);
}
