import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { createTestDatabase, type TestDatabase } from '@tarfleet/testbed';
import pg from 'pg';
import { migrateDatabase, migrationsDir } from './migrate.ts';
import { runSchemaEngine } from './testing/run-schema-engine.ts';

const INIT = '20260101000000_init';
/** Every migration that there is. */
const ALL = [
  INIT,
  '20260201000000_encryption_and_indexes',
  '20260301000000_deduplicated',
  '20260401000000_ways_back',
  '20260501000000_audit_log',
  '20260601000000_schedules',
  '20260602000000_databases',
  '20260610000000_statistics',
  '20260701000000_notifications',
  '20260801000000_retention',
  '20260901000000_surveys',
  '20260901000001_schedule_retention',
  '20260904000000_point_of_sale',
  '20260905000000_automatic_backups',
  '20260907000000_appliance',
  '20260910000000_project_records',
  '20260911000000_backup_copies',
];
let database: TestDatabase;
let root: string;
let dir: string;

beforeEach(async () => {
  database = await createTestDatabase();
  root = await mkdtemp(join(tmpdir(), 'tarfleet-migrations-'));
  dir = join(root, 'migrations');
  await cp(migrationsDir(), dir, { recursive: true });
  await cp(join(migrationsDir(), '../schema.prisma'), join(root, 'schema.prisma'));
});

afterEach(async () => {
  await database.drop();
  await rm(root, { recursive: true });
});

async function addMigration(name: string, sql: string): Promise<void> {
  await mkdir(join(dir, name), { recursive: true });
  await writeFile(join(dir, name, 'migration.sql'), sql);
}

async function query(sql: string): Promise<Record<string, unknown>[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  try {
    return (await client.query(sql)).rows;
  } finally {
    await client.end();
  }
}

test('of several processes that start at once, one migrates', async () => {
  const runs = await Promise.all([1, 2, 3, 4].map(() => migrateDatabase(database.url)));
  expect(runs.flat()).toContain(INIT);
  expect(runs.filter((names) => names.length > 0)).toHaveLength(1);
  expect(await migrateDatabase(database.url)).toEqual([]);
});

test('Prisma finds the history complete and the tables as its schema has them', async () => {
  await migrateDatabase(database.url, dir);
  expect(await runSchemaEngine('diff', database.url, dir)).toBe('');
  expect(await runSchemaEngine('diagnose', database.url, dir)).toEqual({
    editedMigrationNames: [],
    failedMigrationNames: [],
    hasMigrationsTable: true,
    history: null,
  });
  expect(await runSchemaEngine('deploy', database.url, dir)).toEqual([]);
});

test('a column that only the tables have is found', async () => {
  await migrateDatabase(database.url, dir);
  await query('ALTER TABLE jobs ADD COLUMN forgotten integer');
  expect(await runSchemaEngine('diff', database.url, dir)).toContain('DROP COLUMN "forgotten"');
});

test('what Prisma applied is not applied again, and the other way round', async () => {
  expect(await runSchemaEngine('deploy', database.url, dir)).toEqual(ALL);
  await addMigration('20980101000000_more', 'CREATE TABLE more (id integer);');
  expect(await migrateDatabase(database.url, dir)).toEqual(['20980101000000_more']);
  expect(await runSchemaEngine('deploy', database.url, dir)).toEqual([]);
});

test('a migration that was changed after it was applied is refused', async () => {
  await migrateDatabase(database.url, dir);
  await addMigration(INIT, 'SELECT 1;');
  await addMigration('20980101000000_more', 'CREATE TABLE more (id integer);');
  await expect(migrateDatabase(database.url, dir)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining(INIT),
  });
  expect(await query("SELECT to_regclass('more') AS found")).toEqual([{ found: null }]);
});

test('a database of a newer version is refused', async () => {
  await addMigration('20990101000000_later', 'CREATE TABLE later (id integer);');
  await migrateDatabase(database.url, dir);
  await expect(migrateDatabase(database.url)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('20990101000000_later'),
  });
});

test('a migration that fails leaves nothing behind, and runs once it is repaired', async () => {
  await addMigration('20980101000000_half', 'CREATE TABLE half (id integer); SELECT 1 / 0;');
  await expect(migrateDatabase(database.url, dir)).rejects.toThrow(
    '20980101000000_half failed: division by zero',
  );
  expect(await query("SELECT to_regclass('half') AS found")).toEqual([{ found: null }]);
  expect(await query('SELECT migration_name FROM _prisma_migrations ORDER BY 1')).toEqual(
    ALL.map((name) => ({ migration_name: name })),
  );
  await addMigration('20980101000000_half', 'CREATE TABLE half (id integer);');
  expect(await migrateDatabase(database.url, dir)).toEqual(['20980101000000_half']);
});

test('one that Prisma left half-way is refused until it is resolved', async () => {
  await migrateDatabase(database.url, dir);
  await query('UPDATE _prisma_migrations SET finished_at = NULL');
  await expect(migrateDatabase(database.url, dir)).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('failed half-way'),
  });
});

test('a server that does not answer is a retryable fault', async () => {
  const url = new URL(database.url);
  url.port = '1';
  await expect(migrateDatabase(url.href)).rejects.toMatchObject({ code: 'UNAVAILABLE', retryable: true });
});
