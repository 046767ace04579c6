import { readdir } from 'node:fs/promises';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { MysqlTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type RunningMariadb, startMariadb } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm, localSession, until } from '../../files/testing-sessions.ts';
import type { PreparedRestore, PrepareOptions } from '../../types.ts';
import { createDatabaseSource } from '../create-database-source.ts';
import { type CapturedDatabase, cancelledWhen, captureWhole, databaseService } from '../testing-captures.ts';
import { SHOP } from '../testing-shop.ts';

const PASSWORD = 'mysql-canary';
const DUMPS = '/var/lib/tarfleet/databases';
const source = createDatabaseSource({ openSecrets: async () => ({ password: PASSWORD }) });
let mariadb: RunningMariadb;
let session: Session;
let captured: CapturedDatabase;
let before: string;

const target = (): MysqlTarget => ({
  ...{ type: 'mysql', host: '127.0.0.1', port: mariadb.port, user: 'backup', secrets: null },
  ...{ runAs: null, binDir: null, databases: ['shop'], schemaOnly: false },
  ...{ includeTables: [], excludeTables: [] },
});
const context = () => ({ session, signal: calm(), warn: () => undefined });
const options = (jobId: string, dropExisting: boolean, tar = captured.tar): PrepareOptions => ({
  ...context(),
  service: databaseService(target()),
  database: { facts: captured.facts, dropExisting },
  jobId,
  openTar: async () => Readable.from([tar]),
  ...{ roots: null, extras: [], restorePath: null, overwrite: true, keep: [] },
  needs: { bytes: 0, files: 0 },
  onEntry: () => undefined,
});
const all = (): Promise<string> =>
  mariadb.sql(
    `SELECT * FROM customers; SELECT * FROM orders; SELECT * FROM \`odd(table\`; SELECT * FROM totals ORDER BY 1;
     SHOW CREATE PROCEDURE pay; SHOW CREATE FUNCTION owed; SHOW CREATE EVENT tidy;
     SELECT TRIGGER_NAME, ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = 'shop';
     SELECT DEFAULT_COLLATION_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME = 'shop'`,
    'shop',
  );
const databases = async (): Promise<string[]> =>
  (
    await mariadb.sql(
      "SELECT SCHEMA_NAME FROM information_schema.SCHEMATA WHERE SCHEMA_NAME LIKE 'shop%' OR SCHEMA_NAME LIKE 'tarfleet%'",
    )
  )
    .split('\n')
    .filter(Boolean);

beforeAll(async () => {
  mariadb = await startMariadb({ password: PASSWORD });
  session = await localSession();
  await mariadb.sql(SHOP);
  before = await all();
  captured = await captureWhole(session, target(), { password: PASSWORD });
}, 120_000);
afterAll(async () => {
  await session?.close();
  await mariadb?.stop();
});

test('it comes back whole where it is gone, and goes again when that is undone', async () => {
  await mariadb.sql('DROP DATABASE shop');
  const prepared = await source.prepare(options('mysql-job-1', false));
  expect(await databases()).toEqual([]);
  await source.apply(prepared, context());
  await source.apply(prepared, context());
  expect(await all()).toBe(before);
  await source.undo(prepared, context());
  expect(await databases()).toEqual([]);
  await source.apply(prepared, context());
  expect(await databases()).toEqual(['shop']);
  await source.forget(prepared, context(), { keepOld: false });
  await expect(readdir(prepared.folders[0] ?? '')).rejects.toThrow('ENOENT');
});

test('what exists is refused, or makes way and comes back from its dump, also after a break', async () => {
  await mariadb.sql("UPDATE shop.customers SET name = 'since the backup' WHERE id = 7");
  const now = await all();
  expect(now).not.toBe(before);
  await expect(source.check(options('mysql-job-2', false))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringContaining('drop_existing'),
  });
  const prepared = await source.prepare(options('mysql-job-2', true));
  expect(await all()).toBe(now);
  await source.apply(prepared, context());
  expect(await all()).toBe(before);
  expect(await source.undoable(prepared, context())).toBeNull();
  await source.forget(prepared, context(), { keepOld: true });
  expect(await readdir(prepared.folders[0] ?? '')).toEqual(['0.old.sql', '0.state']);
  // As a worker that died in the middle of it leaves it.
  await mariadb.sql('DROP DATABASE shop; CREATE DATABASE shop');
  await source.undo(prepared, context());
  expect(await all()).toBe(now);
  expect(await source.undoable(prepared, context())).toContain('put back already');
  await source.forget(prepared, context(), { keepOld: false });
});

test('a dump that does not load is found before anything is changed', async () => {
  const now = await all();
  const broken = Buffer.from(captured.tar);
  broken.write('XREATE TABLE', broken.indexOf('CREATE TABLE `orders`'));
  await expect(source.prepare(options('mysql-job-3', true, broken))).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/mariadb failed[\s\S]*XREATE/),
  });
  expect(await all()).toBe(now);
  expect(await databases()).toEqual(['shop']);
});

test('what an attempt that died had claimed is removed by whoever forgets it', async () => {
  const before = await databases();
  const claims: PreparedRestore[] = [];
  await source.prepare({ ...options('mysql-dead', true), claim: async (one) => void claims.push(one) });
  await mariadb.sql('CREATE DATABASE tarfleet_mysqldead');
  expect(await readdir(DUMPS)).toContain('mysql-dead');
  for (const claimed of claims) await source.forget(claimed, context(), { keepOld: false });
  expect(await databases()).toEqual(before);
  expect(await readdir(DUMPS)).not.toContain('mysql-dead');
});

test('cancelled while a dump arrives, neither dumps nor databases are left', async () => {
  const before = await databases();
  const arrives = async () => (await readdir(DUMPS)).includes('mysql-cancel');
  const cancelled = source.prepare({
    ...options('mysql-cancel', true),
    ...cancelledWhen(captured.tar, arrives),
  });
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await databases()).toEqual(before);
  expect(await readdir(DUMPS)).not.toContain('mysql-cancel');
});

test('cancelled while a dump is tried out, neither dumps nor databases are left', async () => {
  const before = await databases();
  const controller = new AbortController();
  const tar = Buffer.from(captured.tar);
  const comment = '-- Table structure for table `orders`';
  tar.write('SELECT SLEEP(60);'.padEnd(comment.length), tar.indexOf(comment));
  const cancelled = source.prepare({
    ...options('mysql-cancel', true, tar),
    signal: controller.signal,
  });
  cancelled.catch(() => undefined);
  await until(async () => (await databases()).some((name) => name.startsWith('tarfleet')));
  controller.abort(new AppError('CANCELLED', 'Cancelled.'));
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  expect(await databases()).toEqual(before);
  expect(await readdir(DUMPS)).not.toContain('mysql-cancel');
});
