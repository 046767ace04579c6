import type { ActiveRecordKind, ReadRecordKind, RecordKind } from '@tarfleet/contracts';
import { Prisma } from '../generated/client.ts';
import type { Db } from '../prisma-client.ts';
import { columnsOf, type RecordsOf, rowOf, selectRecords, tableOf } from './record-tables.ts';

export type { RecordsOf } from './record-tables.ts';

export interface RecordLine {
  id: string;
  /** JSON, in one line. */
  line: string;
}

export type RecordRow = Record<string, unknown> & { id: string };

/** What Tarfleet itself keeps of a project, to be backed up, and to be put back. */
export interface ProjectRecords {
  /** At most so many, by id, after this one; of the audit log the newest first. */
  page(kind: RecordKind, of: RecordsOf, after: string | null, limit: number): Promise<RecordLine[]>;
  /** How many would come after this one. */
  count(kind: RecordKind, of: RecordsOf, after: string | null): Promise<number>;
  /** The row of that id, else the one that has the same name where names are unique; locked until the transaction ends. */
  find(kind: ActiveRecordKind, record: RecordRow): Promise<RecordRow | null>;
  /** Whether another row has the record's name, where names are unique. */
  isNameTaken(kind: ActiveRecordKind, record: RecordRow): Promise<boolean>;
  /** Fields that the table does not have are left out; `others` are columns that are no part of a record. CONFLICT where it is there. */
  insert(kind: ActiveRecordKind, record: RecordRow, others?: Record<string, unknown>): Promise<void>;
  /** Sets the fields that the table has. A schedule is paused. */
  update(kind: ActiveRecordKind, record: RecordRow): Promise<void>;
  /** The sealed records go out of the plan of a job that needs them no more. */
  forgetSealed(jobId: string): Promise<void>;
}

export function createProjectRecords(db: Db): ProjectRecords {
  return {
    page(kind, of, after, limit) {
      const [order, beyond] = orderOf(kind, after);
      return db.$queryRaw<RecordLine[]>`
        SELECT r.id::text AS id, r.row::text AS line FROM (${selectRecords(kind, of)}) AS r
        WHERE ${beyond} ORDER BY r.id ${order} LIMIT ${limit}`;
    },
    async count(kind, of, after) {
      const [, beyond] = orderOf(kind, after);
      const [row] = await db.$queryRaw<{ count: number }[]>`
        SELECT count(*)::int AS count FROM (${selectRecords(kind, of)}) AS r WHERE ${beyond}`;
      return row?.count ?? 0;
    },
    async find(kind, record) {
      const [row] = await db.$queryRaw<{ row: RecordRow }[]>`
        SELECT ${rowOf(kind)} AS row FROM ${tableOf(kind)} AS t
        WHERE t.id = ${record.id}::uuid OR (${sameName(kind, record)})
        ORDER BY t.id = ${record.id}::uuid DESC LIMIT 1 FOR UPDATE`;
      return row?.row ?? null;
    },
    async isNameTaken(kind, record) {
      const rows = await db.$queryRaw<unknown[]>`
        SELECT 1 FROM ${tableOf(kind)} AS t WHERE t.id <> ${record.id}::uuid AND ${sameName(kind, record)}`;
      return rows.length > 0;
    },
    async insert(kind, record, others = {}) {
      const columns = names([...columnsOf(kind, record), ...Object.keys(others)]);
      const given = JSON.stringify({ ...record, ...others });
      await db.$executeRaw`
        INSERT INTO ${tableOf(kind)} (${columns})
        SELECT ${columns} FROM jsonb_populate_record(NULL::${tableOf(kind)}, ${given}::jsonb)`;
    },
    async update(kind, record) {
      const columns = names(columnsOf(kind, record));
      await db.$executeRaw`
        UPDATE ${tableOf(kind)} AS t SET (${columns}, updated_at) = (
          SELECT ${columns}, now() FROM jsonb_populate_record(NULL::${tableOf(kind)}, ${JSON.stringify(record)}::jsonb)
        )${kind === 'schedules' ? Prisma.sql`, next_at = NULL` : Prisma.empty}
        WHERE t.id = ${record.id}::uuid`;
    },
    async forgetSealed(jobId) {
      await db.$executeRaw`
        UPDATE jobs SET plan = (plan::jsonb - 'records')::text
        WHERE id = ${jobId}::uuid AND kind = 'artifact' AND plan::jsonb ? 'records'`;
    },
  };
}

function names(columns: readonly string[]): Prisma.Sql {
  return Prisma.raw(columns.map((name) => `"${name}"`).join(', '));
}

function orderOf(kind: RecordKind, after: string | null): [Prisma.Sql, Prisma.Sql] {
  const isLog = kind === ('audit_logs' satisfies ReadRecordKind);
  const order = isLog ? Prisma.sql`DESC` : Prisma.sql`ASC`;
  if (after === null) return [order, Prisma.sql`true`];
  return [order, isLog ? Prisma.sql`r.id < ${after}::uuid` : Prisma.sql`r.id > ${after}::uuid`];
}

/** Names are unique within a project, a server, or everywhere. */
function sameName(kind: ActiveRecordKind, { name, project_id, server_id }: RecordRow): Prisma.Sql {
  if (kind === 'destinations') return Prisma.sql`t.name = ${name}`;
  if (kind === 'services') return Prisma.sql`t.server_id = ${server_id}::uuid AND t.name = ${name}`;
  return Prisma.sql`t.project_id = ${project_id} AND t.name = ${name}`;
}
