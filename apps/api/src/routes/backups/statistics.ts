import type { Database, StorageStatistics, TypeStatistics } from '@tarfleet/db';
import type { Api } from '../../api-type.ts';
import { readDates } from '../read-dates.ts';
import { formatBytes } from './formats.ts';
import { periodOf } from './period.ts';
import { StatisticsAnswer, StatisticsQuery } from './statistics-schemas.ts';

/** Document 2's statistics: of the backups made in a period, and of what is stored now. */
export function statisticsRoute(app: Api, { db }: { db: Pick<Database, 'statistics'> }): void {
  app.get(
    '/api/backups/statistics',
    {
      config: { role: 'admin' },
      schema: {
        tags: ['Backups'],
        summary: 'Count backups, their sizes and what is stored',
        querystring: StatisticsQuery,
        response: { 200: StatisticsAnswer },
      },
    },
    async (request) => {
      const { period, date, project_id: projectId } = request.query;
      const now = new Date();
      const { from, to } = periodOf(period, readDates({ date }, ['date']).from ?? now);
      const projectIds = projectId === undefined ? null : [projectId];
      const types = await db.statistics.byType({ projectIds, from, to });
      const storage = await db.statistics.storage(projectIds);
      // What is still to expire in this period is neither kept to nor not.
      const due = await db.statistics.retention({ projectIds, from, to: to < now ? to : now });
      return {
        success: true as const,
        data: {
          period,
          start_date: from.toISOString(),
          end_date: new Date(to.getTime() - 1).toISOString(),
          summary: summaryOf(types, storage),
          by_type: Object.fromEntries(types.map((one) => [one.type, viewType(one)])),
          retention_compliance: {
            backups_expired: due.expired,
            backups_deleted: due.deleted,
            compliance_rate: due.expired === 0 ? 100 : percent(due.deleted, due.expired),
          },
          storage_locations: Object.fromEntries(storage.map((one) => [one.name, viewStorage(one)])),
        },
      };
    },
  );
}

function summaryOf(types: readonly TypeStatistics[], storage: readonly StorageStatistics[]) {
  const sum = (of: (one: TypeStatistics) => number): number =>
    types.reduce((total, one) => total + of(one), 0);
  const all = { completed: sum((one) => one.completed), count: sum(countOf) };
  const bytes = sum((one) => one.bytes);
  const stored = storage.reduce((total, one) => total + one.bytes, 0);
  return {
    total_backups: all.count,
    successful_backups: all.completed,
    failed_backups: all.count - all.completed,
    partial_backups: sum((one) => one.partial),
    cancelled_backups: sum((one) => one.cancelled),
    in_progress_backups: sum((one) => one.inProgress),
    success_rate: percent(all.completed, all.count),
    total_size_bytes: bytes,
    total_size_formatted: formatBytes(bytes),
    average_backup_size_bytes: average(
      sum((one) => one.completedBytes),
      all.completed,
    ),
    average_duration_seconds: average(
      sum((one) => one.completedSeconds),
      all.completed,
    ),
    total_storage_used_bytes: stored,
    total_storage_used_formatted: formatBytes(stored),
  };
}

function viewType(one: TypeStatistics) {
  return {
    count: countOf(one),
    success_rate: percent(one.completed, countOf(one)),
    average_size_bytes: average(one.completedBytes, one.completed),
    average_duration_seconds: average(one.completedSeconds, one.completed),
  };
}

function viewStorage({ backups, bytes, capacityBytes }: StorageStatistics) {
  return {
    backups_count: backups,
    size_bytes: bytes,
    utilization_percent: capacityBytes === null ? null : percent(bytes, capacityBytes),
  };
}

/** Those that came to an end of their own: what was cancelled, or still runs, is neither a success nor a failure. */
function countOf({ completed, partial, failed }: TypeStatistics): number {
  return completed + partial + failed;
}

/** With two decimals; null where there is nothing to count. */
function percent(part: number, whole: number): number | null {
  return whole === 0 ? null : Math.round((part / whole) * 10_000) / 100;
}

function average(sum: number, count: number): number | null {
  return count === 0 ? null : Math.round(sum / count);
}
