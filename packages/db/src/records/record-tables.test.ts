import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { ACTIVE_RECORD_KINDS, type ActiveRecordKind } from '@tarfleet/contracts';
import { type MigratedDatabase, openMigratedDatabase } from '../testing/migrated-database.ts';
import { columnsOf } from './record-tables.ts';

let db: MigratedDatabase;
beforeAll(async () => {
  db = await openMigratedDatabase();
});
afterAll(() => db.close());

/** What is found out again, or belongs to this installation alone. */
const NO_RECORD: Record<ActiveRecordKind, string[]> = {
  destinations: ['created_at', 'test_error', 'tested_at', 'updated_at'],
  servers: ['created_at', 'last_seen_at', 'tools', 'updated_at'],
  services: ['created_at', 'updated_at'],
  schedules: ['active_since', 'created_at', 'next_at', 'updated_at'],
};

test.each(ACTIVE_RECORD_KINDS)(
  'every column of %s is a record of the project, or said not to be one',
  async (kind) => {
    const rows = await db.prisma.$queryRaw<{ name: string }[]>`
    SELECT column_name AS name FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = ${kind}`;
    const others = rows.map(({ name }) => name).filter((name) => !columnsOf(kind).includes(name));
    expect(others.sort()).toEqual(NO_RECORD[kind]);
    expect(columnsOf(kind).filter((name) => !rows.some((row) => row.name === name))).toEqual([]);
  },
);
