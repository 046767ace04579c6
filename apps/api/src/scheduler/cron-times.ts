import { AppError } from '@tarfleet/kernel';
import { Cron } from 'croner';
import type { DueTimes } from './due-times.ts';
import { createZone, type Zone } from './zone.ts';

const DAY_MS = 24 * 3600 * 1000;
const HOUR_MS = 3600 * 1000;

/**
 * The times of a cron pattern with five fields in a time zone. VALIDATION_FAILED when pattern or zone is none, or the
 * pattern never comes.
 *
 * The library knows the calendar and is asked in UTC, which has no gaps; what its times are in the zone is decided
 * here, for it drops or doubles some of them where clocks change. Where they are put forward, a time that is jumped
 * over comes once, right after the jump. Where they are put back, a time that comes twice counts the first time. A
 * pattern for every hour goes on by real time: through the hour that comes twice, and without the one that is missing.
 */
export function createCronTimes(pattern: string, timeZone: string): DueTimes {
  const cron = parsePattern(pattern);
  const zone = parseZone(timeZone);
  const hourly = isHourly(pattern);
  const next = (after: Date): Date | null => nextAfter(cron, zone, hourly, after.getTime());
  if (next(new Date(0)) === null) {
    throw new AppError(
      'VALIDATION_FAILED',
      `The cron pattern ${pattern} never comes: there is no such date.`,
    );
  }
  return { next };
}

function nextAfter(cron: Cron, zone: Zone, hourly: boolean, after: number): Date | null {
  const around = [after - DAY_MS, after, after + DAY_MS].map((instant) => zone.offsetAt(instant));
  // Whatever the clocks showed up to here has passed by then.
  let wall = cron.nextRun(new Date(after + Math.min(...around)));
  let found = Number.POSITIVE_INFINITY;
  for (; wall; wall = cron.nextRun(wall)) {
    const ticks = ticksOf(zone.instantsOf(wall.getTime()), hourly);
    for (const tick of ticks) if (tick > after && tick < found) found = tick;
    // First ticks are in the order of their wall times: none that is still to come is earlier.
    if (found < Number.POSITIVE_INFINITY && (ticks[0] ?? 0) >= found) return new Date(found);
  }
  return found < Number.POSITIVE_INFINITY ? new Date(found) : null;
}

function ticksOf({ instants, gap }: ReturnType<Zone['instantsOf']>, hourly: boolean): number[] {
  if (!gap) return hourly ? instants : instants.slice(0, 1);
  // Hours later the clocks show the same minute: real time has gone on as if nothing had been jumped over.
  if (hourly && gap.length % HOUR_MS === 0) return [];
  return [gap.at];
}

/** Every hour of the day, however it is written. */
function isHourly(pattern: string): boolean {
  const hours = pattern.trim().split(/\s+/)[1] ?? '';
  const all = createPattern(`0 ${hours} 1 1 *`);
  return (
    all.nextRuns(24, new Date('2000-12-31T12:00:00Z')).at(-1)?.toISOString() === '2001-01-01T23:00:00.000Z'
  );
}

function parsePattern(pattern: string): Cron {
  // Five fields of plain cron: the library also takes seconds, years, dates and `?`, which is the time of the call.
  if (/^\S+( +\S+){4}$/.test(pattern) && /^[\dA-Za-z*,/# -]+$/.test(pattern)) {
    try {
      return createPattern(pattern);
    } catch {
      // What the library says of it quotes its own inner form.
    }
  }
  throw new AppError(
    'VALIDATION_FAILED',
    `${pattern} is no cron pattern. It has five fields: minute, hour, day of the month, month, day of the week, such as "0 2 * * 0".`,
  );
}

function createPattern(pattern: string): Cron {
  return new Cron(pattern, { timezone: 'UTC', mode: '5-part', paused: true });
}

function parseZone(name: string): Zone {
  if (/^[A-Za-z][A-Za-z0-9_+/-]*$/.test(name)) {
    try {
      return createZone(name);
    } catch (error) {
      if (!(error instanceof Error) || error.name !== 'RangeError') throw error;
    }
  }
  throw new AppError(
    'VALIDATION_FAILED',
    `There is no time zone ${name}. Name one of the IANA database, such as Europe/Berlin.`,
  );
}
