export const PERIODS = ['day', 'week', 'month', 'year'] as const;
export type Period = (typeof PERIODS)[number];

/** The day, week (from Monday), month or year in UTC that this moment is in; `to` is the first moment after it. */
export function periodOf(period: Period, at: Date): { from: Date; to: Date } {
  const [year, month, day] = [at.getUTCFullYear(), at.getUTCMonth(), at.getUTCDate()];
  const monday = day - ((at.getUTCDay() + 6) % 7);
  switch (period) {
    case 'day':
      return between([year, month, day], [year, month, day + 1]);
    case 'week':
      return between([year, month, monday], [year, month, monday + 7]);
    case 'month':
      return between([year, month, 1], [year, month + 1, 1]);
    case 'year':
      return between([year, 0, 1], [year + 1, 0, 1]);
  }
}

/** Days and months beyond the last run over into the next, as in Date.UTC. */
function between(from: [number, number, number], to: [number, number, number]): { from: Date; to: Date } {
  return { from: new Date(Date.UTC(...from)), to: new Date(Date.UTC(...to)) };
}
