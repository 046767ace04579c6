import { invalid } from '../plugins/faults.ts';

const DAY_MS = 86_400_000;

/** One or two fields of a query as times, both inclusive; of the second, a day without a time is the whole day. */
export function readDates<F extends string>(
  query: Partial<Record<F, string | undefined>>,
  [first, last]: readonly [F, F?],
): { from?: Date; to?: Date } {
  const faults: { path: string; message: string }[] = [];
  const read = (field: F): Date | undefined => {
    const text = query[field];
    if (text === undefined) return undefined;
    const date = parseTime(text);
    if (date) {
      const wholeDay = field === last && text.length === 10;
      return wholeDay ? new Date(date.getTime() + DAY_MS - 1) : date;
    }
    faults.push({
      path: `query/${field}`,
      message: 'must be an ISO 8601 date, such as 2026-01-31T00:00:00Z',
    });
    return undefined;
  };
  const from = read(first);
  const to = last === undefined ? undefined : read(last);
  if (faults.length > 0) throw invalid(faults);
  return { ...(from ? { from } : {}), ...(to ? { to } : {}) };
}

const TIME = /^(\d{4}-\d{2}-\d{2})(?:T\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** ISO 8601, in UTC where no zone is named; undefined when there is no such time. */
function parseTime(text: string): Date | undefined {
  const [, day, zone] = TIME.exec(text) ?? [];
  // The language's own parser takes February 30 for March 2.
  const midnight = new Date(day ?? '');
  if (Number.isNaN(midnight.getTime()) || midnight.toISOString().slice(0, 10) !== day) return undefined;
  const date = new Date(text.length === 10 || zone ? text : `${text}Z`);
  return Number.isNaN(date.getTime()) ? undefined : date;
}
