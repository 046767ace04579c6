import type { Notification, RetentionPolicy } from '@tarfleet/contracts';
import { v7 } from 'uuid';
import type { Schedule as ScheduleRow } from './generated/client.ts';
import { toJsonOrNull } from './json.ts';
import type { Db } from './prisma-client.ts';

export interface ScheduleRecord {
  id: string;
  projectId: number;
  name: string;
  type: string;
  enabled: boolean;
  /** Five fields; null: by `every`, or (neither) by hand alone. */
  cron: string | null;
  /** `minutes:15`: the distance between two times. */
  every: string | null;
  /** From when on those are counted; null without them. */
  anchorAt: Date | null;
  timeZone: string;
  /** Whether a time that passed unnoticed is made up for: once, however many passed. */
  catchUp: boolean;
  /** How late a run counts as in time. */
  maxLatenessSeconds: number;
  /** Empty: all. */
  components: string[];
  /** Ids or names; empty: all. */
  services: string[];
  serverId: string | null;
  destinationId: string | null;
  /** Destinations that get copies of its backups. */
  copyTo: string[];
  /** Null: what else is said of the destination's backups. */
  retentionDays: number | null;
  /** What is kept of its backups, in place of what the project says; null: what the project says. */
  retention: RetentionPolicy | null;
  encrypt: boolean;
  verify: boolean;
  compress: boolean;
  compressionLevel: number;
  deduplicate: boolean;
  /** Who is told of the end of its backups. */
  notification: Notification | null;
  /** The first time that has not been dealt with; null while it is paused, or due by hand alone. */
  nextAt: Date | null;
  /** From then on backups are expected. */
  activeSince: Date;
  createdAt: Date;
  updatedAt: Date;
}

/** One that replaces another says in full when it is due. */
export type ScheduleDraft = Omit<
  ScheduleRecord,
  'id' | 'every' | 'anchorAt' | 'copyTo' | 'createdAt' | 'updatedAt'
> &
  Partial<Pick<ScheduleRecord, 'every' | 'anchorAt' | 'copyTo'>>;

export interface Schedules {
  /** The database's clock: the one that all replicas share. */
  clock(): Promise<Date>;
  get(id: string): Promise<ScheduleRecord | null>;
  /** Those of one project, or (null) of all, by name. */
  list(projectId: number | null): Promise<ScheduleRecord[]>;
  /** Those that are not paused. */
  enabled(): Promise<ScheduleRecord[]>;
  /** As `get`, locked until the transaction ends. */
  lock(id: string): Promise<ScheduleRecord | null>;
  /** Of this name, locked until the transaction ends. */
  lockNamed(projectId: number, name: string): Promise<ScheduleRecord | null>;
  /** Ids of those that are due, the longest first. */
  due(now: Date, limit: number): Promise<string[]>;
  /** One that is still due, locked until the transaction ends; null when it is not, or somebody else has it. */
  lockDue(id: string, now: Date): Promise<ScheduleRecord | null>;
  /** CONFLICT when somebody made one of this name at the same moment. */
  create(draft: ScheduleDraft): Promise<ScheduleRecord>;
  replace(id: string, draft: ScheduleDraft): Promise<ScheduleRecord>;
  /** Pauses it, or lets it go on: then with when it is due next, and since when backups are expected of it. */
  enable(
    id: string,
    change: Pick<ScheduleRecord, 'enabled' | 'nextAt' | 'activeSince'>,
  ): Promise<ScheduleRecord>;
  /** What is due next, once what was due has been dealt with. */
  advance(id: string, nextAt: Date): Promise<void>;
  /** With what is known of its runs; its backups stay. */
  delete(id: string): Promise<boolean>;
}

export function createSchedules(db: Db): Schedules {
  const get = async (id: string): Promise<ScheduleRecord | null> => {
    const row = await db.schedule.findUnique({ where: { id } });
    return row && toSchedule(row);
  };
  return {
    async clock() {
      // Not now(): that is the time at which the transaction began.
      const [row] = await db.$queryRaw<{ at: Date }[]>`SELECT clock_timestamp() AS at`;
      if (!row) throw new TypeError('a SELECT without FROM gives one row');
      return row.at;
    },
    get,
    async list(projectId) {
      const where = projectId === null ? {} : { projectId };
      const rows = await db.schedule.findMany({ where, orderBy: [{ projectId: 'asc' }, { name: 'asc' }] });
      return rows.map(toSchedule);
    },
    async enabled() {
      return (await db.schedule.findMany({ where: { enabled: true }, orderBy: { id: 'asc' } })).map(
        toSchedule,
      );
    },
    async lock(id) {
      const rows = await db.$queryRaw<object[]>`SELECT id FROM schedules WHERE id = ${id}::uuid FOR UPDATE`;
      return rows.length > 0 ? get(id) : null;
    },
    async lockNamed(projectId, name) {
      const [row] = await db.$queryRaw<{ id: string }[]>`
        SELECT id FROM schedules WHERE project_id = ${projectId} AND name = ${name} FOR UPDATE`;
      return row ? get(row.id) : null;
    },
    async due(now, take) {
      const where = { enabled: true, nextAt: { lte: now } };
      const rows = await db.schedule.findMany({
        where,
        orderBy: { nextAt: 'asc' },
        take,
        select: { id: true },
      });
      return rows.map(({ id }) => id);
    },
    async lockDue(id, now) {
      const [row] = await db.$queryRaw<{ id: string }[]>`
        SELECT id FROM schedules WHERE id = ${id}::uuid AND enabled AND next_at <= ${now} FOR UPDATE SKIP LOCKED`;
      return row ? get(row.id) : null;
    },
    async create({ notification, retention, ...draft }) {
      const json = { notification: toJsonOrNull(notification), retention: toJsonOrNull(retention) };
      const data = { ...draft, id: v7(), ...json };
      return toSchedule(await db.schedule.create({ data }));
    },
    async replace(id, { notification, retention, ...draft }) {
      const json = { notification: toJsonOrNull(notification), retention: toJsonOrNull(retention) };
      const data = { every: null, anchorAt: null, copyTo: [], ...draft, ...json };
      return toSchedule(await db.schedule.update({ where: { id }, data }));
    },
    async enable(id, data) {
      return toSchedule(await db.schedule.update({ where: { id }, data }));
    },
    async advance(id, nextAt) {
      await db.schedule.update({ where: { id }, data: { nextAt }, select: { id: true } });
    },
    async delete(id) {
      return (await db.schedule.deleteMany({ where: { id } })).count > 0;
    },
  };
}

function toSchedule(row: ScheduleRow): ScheduleRecord {
  const notification = row.notification as Notification | null;
  return { ...row, notification, retention: row.retention as RetentionPolicy | null };
}
