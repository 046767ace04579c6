import type { Repositories, ScheduleRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { planBackup } from '../planner/backup.ts';
import type { PlanKeys } from '../planner/targets.ts';
import { toBackupRequest } from './to-backup-request.ts';

/**
 * Plans a schedule's backup at once because somebody asks for it, also while it is paused. Its run is stored with it,
 * as one that was not due: when the schedule is due next does not change. What refuses a backup refuses it, another
 * backup of the same services first of all; then there is no run.
 */
export async function planTriggered(
  deps: { db: Repositories; keys: PlanKeys },
  schedule: ScheduleRecord,
  by: { userId: string; requestId: string; now: Date },
): Promise<RunDraft> {
  const draft = await planBackup(deps, {
    ...toBackupRequest(schedule, by.requestId),
    ...{ userId: by.userId, requestId: by.requestId },
  });
  return {
    ...draft,
    async record(tx) {
      await draft.record(tx);
      const run = {
        ...{ id: uuidv7(), scheduleId: schedule.id, dueAt: by.now, status: 'in_progress' as const },
        ...{ backupId: draft.root.id, missed: 0, missedSince: null, triggered: true },
        ...{ errorCode: null, errorMessage: null, startedAt: by.now, endedAt: null },
      };
      if (!(await tx.schedules.lock(schedule.id)) || !(await tx.scheduleRuns.add(run))) {
        throw new AppError('CONFLICT', 'The schedule was run or deleted at this moment.');
      }
    },
  };
}
