import type { ScheduleAlert, ScheduleRecord, ScheduleStanding } from '@tarfleet/db';
import type { DueTimes } from './due-times.ts';

/** Of a schedule whose time came longer ago than it may be late, and that nobody has begun. */
export function lateAlert(schedule: ScheduleRecord, now: Date): ScheduleAlert | null {
  const { id: scheduleId, nextAt } = schedule;
  if (!nextAt || now.getTime() - nextAt.getTime() <= graceOf(schedule)) return null;
  const message = `Nothing was begun at ${nextAt.toISOString()}, when a backup was due: no API process was running, or none could reach the database.`;
  return { scheduleId, kind: 'late', dueAt: nextAt, message, raisedAt: now };
}

/**
 * Of a schedule whose newest backup is not complete: it has ended otherwise or was not begun, or the time after it has
 * come as well. Named by the first backup that is missing, so that it is the same alert until one succeeds.
 */
export function noSuccessAlert(
  schedule: ScheduleRecord,
  standing: ScheduleStanding,
  times: DueTimes,
  now: Date,
): ScheduleAlert | null {
  const { lastStatus, lastSuccessAt, running } = standing;
  const since = lastSuccessAt && lastSuccessAt > schedule.activeSince ? lastSuccessAt : schedule.activeSince;
  const dueAt = times.next(since);
  const after = dueAt && times.next(dueAt);
  if (!dueAt || !after || dueAt > now) return null;
  const overdue = now.getTime() - after.getTime() > graceOf(schedule);
  // What was skipped because the schedule's own backup before it takes long is no fault yet.
  const ended = lastStatus !== null && lastStatus !== 'completed' && lastStatus !== 'in_progress';
  if (!overdue && !(ended && !(lastStatus === 'skipped' && running))) return null;
  const begun = lastSuccessAt
    ? `The last complete backup was due at ${lastSuccessAt.toISOString()}`
    : 'There is no complete backup yet';
  const last = lastStatus === null ? 'none was begun' : `the newest is ${lastStatus}`;
  const message = `${begun}; of those due since ${dueAt.toISOString()} ${last}.`;
  return { scheduleId: schedule.id, kind: 'no_success', dueAt, message, raisedAt: now };
}

function graceOf({ maxLatenessSeconds }: ScheduleRecord): number {
  return maxLatenessSeconds * 1000;
}
