const MINUTE_MS = 60_000;

/** When a schedule is due, in plain words instead of a pattern. */
export interface Habit {
  zone: string;
  /** On these days, by the zone's clocks. */
  on(day: { month: number; day: number; weekday: string }): boolean;
  /** At this time of the day; `hourly` is each full hour. */
  at: { hour: number; minute: number } | 'hourly';
}

/**
 * Every time that a habit means after `from`, up to and with `to`, found by looking at what the zone's clocks show
 * each quarter of an hour: no pattern is read and no rule is asked. A time that the clocks jump over is the first
 * that they show after it on that day; one that they show twice is the first of them; hours simply go by.
 */
export function expectedTimes(habit: Habit, from: Date, to: Date): Date[] {
  const format = new Intl.DateTimeFormat('en-GB', {
    ...{ timeZone: habit.zone, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', weekday: 'short' },
  });
  const found: Date[] = [];
  const done = new Set<string>();
  const step = 15 * MINUTE_MS;
  // From a day before, so that a time which comes twice is known to have come.
  for (let at = Math.ceil(from.getTime() / step) * step - 96 * step; at <= to.getTime(); at += step) {
    const shown = Object.fromEntries(format.formatToParts(at).map(({ type, value }) => [type, value]));
    const [month, day, hour, minute] = [shown.month, shown.day, shown.hour, shown.minute].map(Number) as Four;
    if (!habit.on({ month, day, weekday: shown.weekday ?? '' })) continue;
    const date = `${shown.year}-${month}-${day}`;
    if (habit.at === 'hourly') {
      if (minute === 0) found.push(new Date(at));
    } else if (!done.has(date) && hour * 60 + minute >= habit.at.hour * 60 + habit.at.minute) {
      done.add(date);
      found.push(new Date(at));
    }
  }
  return found.filter((time) => time > from);
}

type Four = [number, number, number, number];
