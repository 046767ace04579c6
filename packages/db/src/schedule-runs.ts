import type { ErrorCode } from '@tarfleet/contracts';
import type { ScheduleRun as RunRow } from './generated/client.ts';
import type { Db } from './prisma-client.ts';

/** `skipped`: another job had the services; `missed`: it was too late when it was noticed; the rest as a backup's. */
export type ScheduleRunStatus =
  | 'in_progress'
  | 'completed'
  | 'partial'
  | 'failed'
  | 'cancelled'
  | 'skipped'
  | 'missed';

/** What became of one time at which a schedule was due. */
export interface ScheduleRunRecord {
  id: string;
  scheduleId: string;
  dueAt: Date;
  status: ScheduleRunStatus;
  /** Null when none was started. */
  backupId: string | null;
  /** Earlier times that passed unnoticed and are made up for by this one. */
  missed: number;
  /** The first of them. */
  missedSince: Date | null;
  /** Somebody asked for it: it was not due. */
  triggered?: boolean;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
  startedAt: Date;
  endedAt: Date | null;
}

export interface ScheduleRunEnd {
  status: ScheduleRunStatus;
  endedAt: Date;
  errorCode: ErrorCode | null;
  errorMessage: string | null;
}

/** Of one schedule. */
export interface ScheduleHistory {
  counts: Partial<Record<ScheduleRunStatus, number>>;
  last: ScheduleRunRecord | null;
}

/** How a schedule stands, for those who watch it. */
export interface ScheduleStanding {
  /** What became of the newest time that was due; null when none was. */
  lastStatus: ScheduleRunStatus | null;
  /** Whether a backup of it has not ended. */
  running: boolean;
  /** When the newest backup was due that is complete. */
  lastSuccessAt: Date | null;
}

export interface ScheduleRuns {
  /** False, and nothing done, when that time of that schedule has been dealt with before. */
  add(run: ScheduleRunRecord): Promise<boolean>;
  /** The schedule whose run this backup was; null when it was none's, or the schedule is gone. */
  end(backupId: string, end: ScheduleRunEnd): Promise<ScheduleRunRecord | null>;
  /** Newest first. */
  list(scheduleId: string, limit: number): Promise<ScheduleRunRecord[]>;
  history(scheduleIds: readonly string[]): Promise<Map<string, ScheduleHistory>>;
  /** By what was due until then: what a clock that ran ahead has begun does not count. */
  standings(scheduleIds: readonly string[], until: Date): Promise<Map<string, ScheduleStanding>>;
}

export function createScheduleRuns(db: Db): ScheduleRuns {
  return {
    async add(run) {
      const { count } = await db.scheduleRun.createMany({ data: run, skipDuplicates: true });
      return count > 0;
    },
    async end(backupId, end) {
      const rows = await db.scheduleRun.updateManyAndReturn({
        where: { backupId, status: 'in_progress' },
        data: end,
      });
      return rows[0] ? toRun(rows[0]) : null;
    },
    async list(scheduleId, take) {
      const rows = await db.scheduleRun.findMany({ where: { scheduleId }, orderBy: { dueAt: 'desc' }, take });
      return rows.map(toRun);
    },
    async history(scheduleIds) {
      const ids = [...scheduleIds];
      const counts = await db.scheduleRun.groupBy({
        by: ['scheduleId', 'status'],
        where: { scheduleId: { in: ids } },
        _count: true,
      });
      const last = await db.$queryRaw<{ id: string }[]>`
        SELECT l.id FROM unnest(${ids}::uuid[]) AS s(id) CROSS JOIN LATERAL (
          SELECT r.id FROM schedule_runs r WHERE r.schedule_id = s.id ORDER BY r.due_at DESC LIMIT 1
        ) AS l`;
      const rows = await db.scheduleRun.findMany({ where: { id: { in: last.map(({ id }) => id) } } });
      return new Map(
        ids.map((id) => {
          const own = counts.filter(({ scheduleId }) => scheduleId === id);
          const row = rows.find(({ scheduleId }) => scheduleId === id);
          const history: ScheduleHistory = {
            counts: Object.fromEntries(own.map(({ status, _count }) => [status, _count])),
            last: row ? toRun(row) : null,
          };
          return [id, history];
        }),
      );
    },
    async standings(scheduleIds, until) {
      const rows = await db.$queryRaw<(ScheduleStanding & { id: string })[]>`
        SELECT s.id, l.status AS "lastStatus",
          EXISTS (SELECT FROM schedule_runs r WHERE r.schedule_id = s.id AND r.status = 'in_progress') AS running,
          (SELECT max(r.due_at) FROM schedule_runs r
           WHERE r.schedule_id = s.id AND r.status = 'completed' AND r.due_at <= ${until}) AS "lastSuccessAt"
        FROM unnest(${[...scheduleIds]}::uuid[]) AS s(id) LEFT JOIN LATERAL (
          SELECT r.status FROM schedule_runs r WHERE r.schedule_id = s.id AND r.due_at <= ${until}
          ORDER BY r.due_at DESC LIMIT 1
        ) AS l ON true`;
      return new Map(rows.map(({ id, ...standing }) => [id, standing]));
    },
  };
}

function toRun(row: RunRow): ScheduleRunRecord {
  return {
    ...row,
    status: row.status as ScheduleRunStatus,
    errorCode: row.errorCode as ErrorCode | null,
  };
}
