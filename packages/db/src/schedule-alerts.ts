import { v7 } from 'uuid';
import type { Db } from './prisma-client.ts';

/** `late`: nothing was begun in time; `no_success`: what was begun has come to no complete backup. */
export type ScheduleAlertKind = 'late' | 'no_success';

/** A backup that should have been there and was not. */
export interface ScheduleAlert {
  scheduleId: string;
  kind: ScheduleAlertKind;
  /** When the missing backup was due, the first of several. */
  dueAt: Date;
  message: string;
  raisedAt: Date;
}

export interface ScheduleAlerts {
  /** True once: false when it has been raised before. */
  raise(alert: ScheduleAlert): Promise<boolean>;
  /** Closes those of one schedule that are about this time or an earlier one. */
  resolve(scheduleId: string, upTo: Date, at: Date): Promise<void>;
  /** Those that are open, newest first. */
  open(scheduleIds: readonly string[]): Promise<ScheduleAlert[]>;
}

export function createScheduleAlerts(db: Db): ScheduleAlerts {
  return {
    async raise(alert) {
      const { count } = await db.scheduleAlert.createMany({
        data: { ...alert, id: v7() },
        skipDuplicates: true,
      });
      return count > 0;
    },
    async resolve(scheduleId, upTo, at) {
      await db.scheduleAlert.updateMany({
        where: { scheduleId, resolvedAt: null, dueAt: { lte: upTo } },
        data: { resolvedAt: at },
      });
    },
    async open(scheduleIds) {
      const rows = await db.scheduleAlert.findMany({
        where: { scheduleId: { in: [...scheduleIds] }, resolvedAt: null },
        orderBy: { dueAt: 'desc' },
        omit: { id: true, resolvedAt: true },
      });
      return rows.map((row) => ({ ...row, kind: row.kind as ScheduleAlertKind }));
    },
  };
}
