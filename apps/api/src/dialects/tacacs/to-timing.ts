import { AppError } from '@tarfleet/kernel';
import { invalid } from '../../plugins/faults.ts';
import { createCronTimes } from '../../scheduler/cron-times.ts';
import { readTiming, type Timing } from '../../scheduler/read-timing.ts';
import type { JobBody } from './schedule-schemas.ts';

/** When a job is due, as its request says: intervals count from `now`. VALIDATION_FAILED names the field. */
export function toTiming(body: JobBody, now: Date): Timing {
  const { schedule_type: type, schedule_value: value, time_zone: timeZone = 'UTC' } = body;
  if (type === 'manual') {
    if (value !== undefined) throw fault('schedule_value', 'does not go with schedule_type manual');
    return { cron: null, every: null, anchorAt: null, timeZone };
  }
  if (value === undefined) throw fault('schedule_value', `is required when schedule_type is ${type}`);
  if (type === 'interval' && timeZone !== 'UTC') {
    throw fault('time_zone', 'does not go with an interval, which counts hours that have passed');
  }
  const timing: Timing =
    type === 'cron'
      ? { cron: value, every: null, anchorAt: null, timeZone }
      : { cron: null, every: value, anchorAt: now, timeZone };
  assertValid('time_zone', () => createCronTimes('0 0 * * *', timeZone));
  assertValid('schedule_value', () => readTiming(timing));
  return timing;
}

function assertValid(field: string, read: () => unknown): void {
  try {
    read();
  } catch (error) {
    if (!(error instanceof AppError)) throw error;
    throw fault(field, `is not valid: ${error.message}`);
  }
}

function fault(field: string, message: string): AppError {
  return invalid([{ path: `body/${field}`, message }]);
}
