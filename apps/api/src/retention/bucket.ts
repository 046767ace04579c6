/** The spans of time of which a policy keeps one backup each. */
export const SPANS = ['hourly', 'daily', 'weekly', 'monthly', 'yearly'] as const;
export type Span = (typeof SPANS)[number];

/**
 * Names the hour, day, week, month or year that a time lies in, as the clocks and calendars of a time zone have it:
 * `2026-11-20`, `2026-W47`. An hour that comes twice, when summer time ends, is two: its offset is part of its name.
 */
export function createBuckets(timezone: string): (at: Date, span: Span) => string {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: timezone, calendar: 'gregory', numberingSystem: 'latn', hourCycle: 'h23' },
    ...{ year: 'numeric', month: '2-digit', day: '2-digit', hour: '2-digit', timeZoneName: 'longOffset' },
  });
  return (at, span) => {
    const parts = new Map(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const part = (name: Intl.DateTimeFormatPartTypes): string => parts.get(name) ?? '';
    const [year, month, day] = [part('year'), part('month'), part('day')];
    switch (span) {
      case 'hourly':
        return `${year}-${month}-${day} ${part('hour')}h ${part('timeZoneName')}`;
      case 'daily':
        return `${year}-${month}-${day}`;
      case 'weekly':
        return weekOf(Number(year), Number(month), Number(day));
      case 'monthly':
        return `${year}-${month}`;
      case 'yearly':
        return year;
    }
  };
}

/** Whether the machine knows a time zone of this name. */
export function isTimezone(name: string): boolean {
  try {
    new Intl.DateTimeFormat('en-US', { timeZone: name });
    return true;
  } catch {
    // RangeError is how it says that it does not.
    return false;
  }
}

const DAY_MS = 24 * 3600 * 1000;

/** ISO 8601: weeks begin on Monday, and belong to the year that their Thursday lies in. */
function weekOf(year: number, month: number, day: number): string {
  const date = new Date(Date.UTC(year, month - 1, day));
  const thursday = new Date(date.getTime() + (3 - ((date.getUTCDay() + 6) % 7)) * DAY_MS);
  const first = Date.UTC(thursday.getUTCFullYear(), 0, 1);
  const week = Math.floor((thursday.getTime() - first) / (7 * DAY_MS)) + 1;
  return `${thursday.getUTCFullYear()}-W${String(week).padStart(2, '0')}`;
}
