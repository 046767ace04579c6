import type { Database, ScheduleAlert, ScheduleRecord } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import { lateAlert, noSuccessAlert } from './alerts.ts';
import type { DueTimes } from './due-times.ts';

export interface WatchDeps {
  db: Database;
  logger: Logger;
  timesOf(schedule: ScheduleRecord): DueTimes;
  clock(): Promise<Date>;
}

/** Looks for backups that should have been there and are not; each is told once, by whichever process sees it first. */
export async function watch(deps: WatchDeps): Promise<void> {
  const { db, timesOf } = deps;
  const schedules = await db.schedules.enabled();
  // After them: by this time none of them can have got ahead, unless the clock was put back.
  const now = await deps.clock();
  const standings = await db.scheduleRuns.standings(
    schedules.map(({ id }) => id),
    now,
  );
  for (const schedule of schedules) {
    const times = timesOf(schedule);
    const late = lateAlert(schedule, now);
    if (late) await raise(deps, late);
    const standing = standings.get(schedule.id);
    const missing = standing ? noSuccessAlert(schedule, standing, times, now) : null;
    if (missing) await raise(deps, missing);
    const next = times.next(now);
    if (schedule.nextAt && next && schedule.nextAt > next) await comeBack(deps, schedule, next);
  }
}

async function raise({ db, logger }: WatchDeps, alert: ScheduleAlert): Promise<void> {
  if (!(await db.scheduleAlerts.raise(alert))) return;
  const { scheduleId, kind, dueAt, message } = alert;
  logger.warn({ scheduleId, kind, dueAt, reason: message }, 'backup overdue');
}

/**
 * A time is still to come that the schedule believes to be behind it: the clock was ahead and has been put back, and
 * without this the schedule would sleep until the time that it has shown. What has been run is not run again.
 */
async function comeBack({ db, logger }: WatchDeps, before: ScheduleRecord, next: Date): Promise<void> {
  const changed = await db.transaction(async (tx) => {
    const schedule = await tx.schedules.lockNamed(before.projectId, before.name);
    if (schedule?.id !== before.id || schedule.updatedAt.getTime() !== before.updatedAt.getTime())
      return false;
    await tx.schedules.advance(before.id, next);
    return true;
  });
  if (!changed) return;
  logger.warn(
    { scheduleId: before.id, from: before.nextAt, to: next },
    'the clock was put back, a schedule with it',
  );
}
