import type { Database } from '@tarfleet/db';

/** Deletes a schedule and what is known of its runs; its backups stay. False when there is no such schedule. */
export function deleteSchedule(db: Database, id: string): Promise<boolean> {
  return db.transaction(async (tx) => {
    const schedule = await tx.schedules.get(id);
    // What it kept of its backups goes with it: not in the middle of somebody's look at that.
    if (schedule) await tx.retention.hold(schedule.projectId, null);
    return tx.schedules.delete(id);
  });
}
