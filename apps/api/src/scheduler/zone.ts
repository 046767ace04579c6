const DAY_MS = 24 * 3600 * 1000;

/**
 * The clocks of one time zone. A wall time is what they show, written as the milliseconds of the same date and time
 * in UTC. Zones and their changes come from the runtime's own copy of the IANA database.
 */
export interface Zone {
  /** What the zone's clocks are ahead of UTC, in milliseconds. */
  offsetAt(instant: number): number;
  /**
   * The instants at which the clocks show this wall time, in order: one; two where they are put back; none where they
   * jump over it, and then `gap` says when they jump and by how many milliseconds.
   */
  instantsOf(wall: number): { instants: number[]; gap?: { at: number; length: number } };
}

/** Throws RangeError when there is no such zone. */
export function createZone(name: string): Zone {
  const format = new Intl.DateTimeFormat('en-US', {
    ...{ timeZone: name, hourCycle: 'h23', year: 'numeric', month: 'numeric', day: 'numeric' },
    ...{ hour: 'numeric', minute: 'numeric', second: 'numeric' },
  });

  const offsetAt = (instant: number): number => {
    const whole = Math.floor(instant / 1000) * 1000;
    const part: Record<string, number> = {};
    for (const { type, value } of format.formatToParts(whole)) part[type] = Number(value);
    const { year = 0, month = 1, day = 1, hour = 0, minute = 0, second = 0 } = part;
    return Date.UTC(year, month - 1, day, hour, minute, second) - whole;
  };

  /** The first instant, to the second, at which the offset is another than at `from`; `to` has another. */
  const changeBetween = (from: number, to: number): number => {
    const before = offsetAt(from);
    let [low, high] = [Math.floor(from / 1000), Math.ceil(to / 1000)];
    while (high - low > 1) {
      const middle = Math.floor((low + high) / 2);
      if (offsetAt(middle * 1000) === before) low = middle;
      else high = middle;
    }
    return high * 1000;
  };

  return {
    offsetAt,
    instantsOf(wall) {
      // No zone is a day away from UTC, and none changes its clocks twice within two days.
      const [before, after] = [offsetAt(wall - DAY_MS), offsetAt(wall + DAY_MS)];
      const instants = [...new Set([before, after])]
        .map((offset) => wall - offset)
        .filter((instant) => offsetAt(instant) === wall - instant)
        .sort((one, other) => one - other);
      if (instants.length > 0) return { instants };
      const at = changeBetween(wall - after, wall - before);
      return { instants, gap: { at, length: after - before } };
    },
  };
}
