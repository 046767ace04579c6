import type { RetentionPolicy } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { v7 } from 'uuid';
import { toNumber } from './backups.ts';
import type { Destination as DestinationRow } from './generated/client.ts';
import { toJson, toJsonOrNull } from './json.ts';
import { type Page, type PageRequest, readPage } from './page.ts';
import type { Db } from './prisma-client.ts';
import { inTransaction } from './transaction.ts';

export interface DestinationRecord {
  id: string;
  name: string;
  type: string;
  /** As the type's schema has it; no secrets. */
  config: Record<string, unknown>;
  /** Its secrets under the API's own key; null when it needs none. */
  secretCiphertext: string | null;
  retentionDays: number | null;
  /** What is kept of the backups there; null: what they say themselves. */
  retention: RetentionPolicy | null;
  /** What it holds at most, in bytes, as its owner says. */
  capacityBytes: number | null;
  isDefault: boolean;
  /** Whether new backups may go there. */
  enabled: boolean;
  /** When its connection was last tested, as it is configured now. */
  testedAt: Date | null;
  /** What was found wrong; null: nothing. */
  testError: string | null;
  createdAt: Date;
  updatedAt: Date;
}

/** `id` may be given, for secrets are encrypted before the row is made. */
export type NewDestination = Omit<
  DestinationRecord,
  'id' | 'capacityBytes' | 'retention' | 'enabled' | 'testedAt' | 'testError' | 'createdAt' | 'updatedAt'
> & {
  id?: string;
  enabled?: boolean;
  testedAt?: Date | null;
  testError?: string | null;
  capacityBytes?: number | null;
  retention?: RetentionPolicy | null;
};
export type DestinationChanges = Partial<Omit<NewDestination, 'id' | 'type'>>;

export interface Destinations {
  /** Newest first. */
  list(request: PageRequest): Promise<Page<DestinationRecord>>;
  /** All of them, by name. */
  all(): Promise<DestinationRecord[]>;
  get(id: string): Promise<DestinationRecord | null>;
  /** As `get`, locked until the transaction ends: no backup can come in between. */
  lock(id: string): Promise<DestinationRecord | null>;
  /** As `get`, kept as it is until the transaction ends. */
  hold(id: string): Promise<DestinationRecord | null>;
  findByName(name: string): Promise<DestinationRecord | null>;
  getDefault(): Promise<DestinationRecord | null>;
  /** Whether backups that are not deleted lie there, or copies of some. */
  hasBackups(id: string): Promise<boolean>;
  /** Whether backups with content, or copies of some, must be found there: of none is a removal under way. */
  holdsBackups(id: string): Promise<boolean>;
  /** One that is made the default takes that from the one before. CONFLICT when the name is taken. */
  create(destination: NewDestination): Promise<DestinationRecord>;
  /** Null when there is no such destination. */
  update(id: string, changes: DestinationChanges): Promise<DestinationRecord | null>;
  /** What a test of its connection has come to; nothing when there is no such destination. */
  recordTest(id: string, test: { at: Date; error: string | null }): Promise<void>;
  /** DESTINATION_IN_USE while backups or copies lie there, or schedules have theirs copied there. */
  delete(id: string): Promise<boolean>;
}

export function createDestinations(db: Db): Destinations {
  return {
    list: (request) =>
      readPage(
        request,
        (range) => db.destination.findMany({ ...range, orderBy: [{ createdAt: 'desc' }, { id: 'desc' }] }),
        () => db.destination.count(),
        toDestination,
      ),
    async all() {
      return (await db.destination.findMany({ orderBy: { name: 'asc' } })).map(toDestination);
    },
    async get(id) {
      const row = await db.destination.findUnique({ where: { id } });
      return row && toDestination(row);
    },
    async lock(id) {
      await db.$queryRaw`SELECT 1 AS locked FROM destinations WHERE id = ${id}::uuid FOR UPDATE`;
      const row = await db.destination.findUnique({ where: { id } });
      return row && toDestination(row);
    },
    async hold(id) {
      await db.$queryRaw`SELECT 1 AS held FROM destinations WHERE id = ${id}::uuid FOR SHARE`;
      const row = await db.destination.findUnique({ where: { id } });
      return row && toDestination(row);
    },
    async findByName(name) {
      const row = await db.destination.findUnique({ where: { name } });
      return row && toDestination(row);
    },
    async getDefault() {
      const row = await db.destination.findFirst({ where: { isDefault: true } });
      return row && toDestination(row);
    },
    async hasBackups(id) {
      const where = { destinationId: id, status: { not: 'deleted' } };
      if (await db.backup.findFirst({ where, select: { id: true } })) return true;
      const copy = { destinationId: id, begunAt: { not: null } };
      return (await db.backupCopy.findFirst({ where: copy, select: { backupId: true } })) !== null;
    },
    async holdsBackups(id) {
      const where = { destinationId: id, status: { in: ['completed', 'partial', 'hidden'] } };
      if (await db.backup.findFirst({ where, select: { id: true } })) return true;
      const backup = { status: { in: ['completed', 'partial', 'hidden'] } };
      const copy = { destinationId: id, status: 'completed', backup };
      return (await db.backupCopy.findFirst({ where: copy, select: { backupId: true } })) !== null;
    },
    create: (destination) =>
      inTransaction(db, async (tx) => {
        if (destination.isDefault) await clearDefault(tx, null);
        const data = {
          ...destination,
          id: destination.id ?? v7(),
          config: toJson(destination.config),
          retention: toJsonOrNull(destination.retention),
        };
        return toDestination(await tx.destination.create({ data }));
      }),
    update: (id, { config, retention, ...changes }) =>
      inTransaction(db, async (tx) => {
        if (!(await tx.destination.findUnique({ where: { id }, select: { id: true } }))) return null;
        if (changes.isDefault) await clearDefault(tx, id);
        const data = {
          // What was found out about another place says nothing of this one.
          ...(config === undefined ? {} : { config: toJson(config), testedAt: null, testError: null }),
          ...changes,
          ...(retention === undefined ? {} : { retention: toJsonOrNull(retention) }),
        };
        const rows = await tx.destination.updateManyAndReturn({ where: { id }, data });
        return rows[0] ? toDestination(rows[0]) : null;
      }),
    async recordTest(id, { at, error }) {
      await db.destination.updateMany({ where: { id }, data: { testedAt: at, testError: error } });
    },
    delete: (id) =>
      inTransaction(db, async (tx) => {
        // A new backup's foreign key asks for this lock, so none can come in between.
        await tx.$queryRaw`SELECT 1 AS locked FROM destinations WHERE id = ${id}::uuid FOR UPDATE`;
        const backups = await tx.backup.count({ where: { destinationId: id, status: { not: 'deleted' } } });
        if (backups > 0) {
          throw new AppError(
            'DESTINATION_IN_USE',
            `Backups are kept at this destination (${backups}); delete them first.`,
          );
        }
        const copies = await tx.backupCopy.count({ where: { destinationId: id } });
        if (copies > 0) {
          throw new AppError(
            'DESTINATION_IN_USE',
            `Copies of backups are kept at this destination, or are to be made there (${copies}); delete those backups first.`,
          );
        }
        const schedules = await tx.schedule.findMany({
          where: { copyTo: { has: id } },
          select: { name: true },
        });
        if (schedules.length > 0) {
          const names = schedules.map(({ name }) => name).join(', ');
          throw new AppError(
            'DESTINATION_IN_USE',
            `Schedules have their backups copied to this destination (${names}); change them first.`,
          );
        }
        return (await tx.destination.deleteMany({ where: { id } })).count > 0;
      }),
  };
}

async function clearDefault(tx: Db, except: string | null): Promise<void> {
  const where = { isDefault: true, ...(except === null ? {} : { id: { not: except } }) };
  await tx.destination.updateMany({ where, data: { isDefault: false } });
}

function toDestination(row: DestinationRow): DestinationRecord {
  return {
    ...row,
    config: row.config as DestinationRecord['config'],
    retention: row.retention as DestinationRecord['retention'],
    capacityBytes: toNumber(row.capacityBytes),
  };
}
