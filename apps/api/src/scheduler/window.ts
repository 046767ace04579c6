import type { DueTimes } from './due-times.ts';

const HOUR_MS = 3600 * 1000;
/** More times than these that passed unnoticed are not counted one by one. */
const COUNTED = 500;

/** All times of a schedule that have come and not been dealt with: one run makes up for them. */
export interface DueWindow {
  /** The last of them: the one that is dealt with. */
  due: Date;
  /** How many came before it; at least so many where they are very many. */
  missed: number;
  /** The first of those, or null. */
  missedSince: Date | null;
  /** The first time that is still to come. */
  next: Date;
}

/** `nextAt` is the first time that has not been dealt with, and not after `now`. */
export function windowOf(times: DueTimes, nextAt: Date, now: Date): DueWindow {
  let due = nextAt;
  let missed = 0;
  for (;;) {
    const next = following(times, due);
    if (next > now) return { due, missed, missedSince: missed > 0 ? nextAt : null, next };
    due = missed < COUNTED ? next : lastUntil(times, now);
    missed += 1;
  }
}

/** The last time that is not after `now`, where there are many. */
function lastUntil(times: DueTimes, now: Date): Date {
  for (let span = HOUR_MS; ; span *= 24) {
    let last: Date | null = null;
    let next = following(times, new Date(now.getTime() - span));
    for (; next <= now; next = following(times, next)) last = next;
    if (last) return last;
  }
}

function following(times: DueTimes, at: Date): Date {
  const next = times.next(at);
  if (next) return next;
  throw new RangeError('A pattern that comes once comes again: there are no years in it.');
}
