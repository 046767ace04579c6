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
  /** For each schedule that has one, when the newest backup was due that is complete. */
  lastSuccesses(scheduleIds: readonly string[]): Promise<Map<string, Date>>;
}

export function createScheduleRuns(db: Db): ScheduleRuns {
  const lastSuccesses = async (scheduleIds: readonly string[]): Promise<Map<string, Date>> => {
    const rows = await db.$queryRaw<{ id: string; at: Date | null }[]>`
      SELECT s.id, (SELECT max(r.due_at) FROM schedule_runs r WHERE r.schedule_id = s.id AND r.status = 'completed') AS at
      FROM unnest(${[...scheduleIds]}::uuid[]) AS s(id)`;
    return new Map(rows.flatMap(({ id, at }) => (at ? [[id, at] as const] : [])));
  };
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
      const [counts, last, successes] = await Promise.all([
        db.scheduleRun.groupBy({
          by: ['scheduleId', 'status'],
          where: { scheduleId: { in: ids } },
          _count: true,
        }),
        db.$queryRaw<{ id: string }[]>`
          SELECT l.id FROM unnest(${ids}::uuid[]) AS s(id) CROSS JOIN LATERAL (
            SELECT r.id FROM schedule_runs r WHERE r.schedule_id = s.id ORDER BY r.due_at DESC LIMIT 1
          ) AS l`,
        lastSuccesses(ids),
      ]);
      const rows = await db.scheduleRun.findMany({ where: { id: { in: last.map(({ id }) => id) } } });
      return new Map(
        ids.map((id) => {
          const own = counts.filter(({ scheduleId }) => scheduleId === id);
          const row = rows.find(({ scheduleId }) => scheduleId === id);
          const history: ScheduleHistory = {
            counts: Object.fromEntries(own.map(({ status, _count }) => [status, _count])),
            last: row ? toRun(row) : null,
            lastSuccessAt: successes.get(id) ?? null,
          };
          return [id, history];
        }),
      );
    },
    lastSuccesses,
  };
}

function toRun(row: RunRow): ScheduleRunRecord {
  return {
    ...row,
    status: row.status as ScheduleRunStatus,
    errorCode: row.errorCode as ErrorCode | null,
  };
}
