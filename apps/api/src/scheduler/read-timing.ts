import type { ScheduleRecord } from '@tarfleet/db';
import { createCronTimes } from './cron-times.ts';
import type { DueTimes } from './due-times.ts';
import { createIntervalTimes } from './interval-times.ts';

/** Of one that is due by hand alone. */
const NEVER: DueTimes = { next: () => null };

/** What says when a schedule is due: a cron pattern, an interval, or neither. */
export type Timing = Pick<ScheduleRecord, 'cron' | 'every' | 'anchorAt' | 'timeZone'>;

/** VALIDATION_FAILED when what it says is no time. */
export function readTiming({ cron, every, anchorAt, timeZone }: Timing): DueTimes {
  if (cron !== null) return createCronTimes(cron, timeZone);
  return every !== null && anchorAt !== null ? createIntervalTimes(every, anchorAt) : NEVER;
}
