import { Readable } from 'node:stream';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PostgresTarget } from '@tarfleet/contracts';
import { type RunningPostgres, startPostgresServer } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { calm, localSession } from '../../../files/testing-sessions.ts';
import type { PreparedRestore, PrepareOptions } from '../../../types.ts';
import { createDatabaseSource } from '../../create-database-source.ts';
import {
  type CapturedDatabase,
  cancelledWhen,
  captureWhole,
  databaseService,
} from '../../testing-captures.ts';
import { missingRoles } from './roles.ts';
import { namesFor } from './state.ts';

const PASSWORD = 'restore-canary';
const ROWS = 'SELECT * FROM pgbench_accounts ORDER BY aid';
let from: RunningPostgres;
let to: RunningPostgres;
let session: Session;
let captured: CapturedDatabase;
const source = createDatabaseSource({ openSecrets: async () => ({ password: PASSWORD }) });

const target = (port: number): PostgresTarget => ({
  ...{ type: 'postgres', host: '127.0.0.1', port, user: 'postgres', secrets: null },
  ...{ runAs: null, binDir: null, databases: ['bench', 'shop "x"'], schemaOnly: false, roles: true },
  ...{ includeTables: [], excludeTables: [] },
});
const context = () => ({ session, signal: calm(), warn: () => undefined });
const options = (jobId: string, dropExisting = false, tar = captured.tar): PrepareOptions => ({
  ...context(),
  service: databaseService(target(to.port)),
  database: { facts: captured.facts, dropExisting },
  jobId,
  openTar: async () => Readable.from([tar]),
  ...{ roots: null, extras: [], restorePath: null, overwrite: true, keep: [] },
  needs: { bytes: 0, files: 0 },
  onEntry: () => undefined,
});
const names = async (): Promise<string[]> =>
  (await to.sql('postgres', 'SELECT datname FROM pg_database WHERE NOT datistemplate ORDER BY datname'))
    .trim()
    .split('\n');

beforeAll(async () => {
  [from, to] = await Promise.all([
    startPostgresServer({ password: PASSWORD }),
    startPostgresServer({ password: PASSWORD }),
  ]);
  session = await localSession();
  await from.sql('postgres', `CREATE ROLE "own er" LOGIN PASSWORD 'x'`);
  await from.sql('postgres', `CREATE ROLE reader`);
  await from.sql('postgres', `GRANT reader TO "own er"`);
  await from.sql('postgres', 'CREATE DATABASE bench OWNER "own er"');
  await from.sql('postgres', `ALTER DATABASE bench SET search_path TO "$user", public, other`);
  await from.sql('postgres', 'REVOKE CONNECT ON DATABASE bench FROM PUBLIC');
  await from.tool('pgbench', ['-i', '-q', '-s', '1', 'bench']);
  await from.sql(
    'postgres',
    `CREATE DATABASE "shop ""x""" ENCODING 'LATIN1' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
  );
  captured = await captureWhole(session, target(from.port), { password: PASSWORD });
}, 120_000);

afterAll(async () => {
  await session?.close();
  await from?.stop();
  await to?.stop();
});

test('databases, their roles, owners, settings and encodings come to an empty server; undone, nothing is left', async () => {
  await source.check(options('job-1'));
  const prepared = await source.prepare(options('job-1'));
  expect(await names()).not.toContain('bench');
  const summary = await source.apply(prepared, context());
  expect(summary).toMatchObject({ filesSkipped: 0, filesRestored: expect.any(Number) });
  expect(await names()).toEqual(['bench', 'postgres', 'shop "x"']);
  expect(await to.sql('bench', ROWS)).toBe(await from.sql('bench', ROWS));
  const facts = `SELECT datname, datdba::regrole, pg_encoding_to_char(encoding), datcollate, (SELECT array_agg(a::text ORDER BY a::text) FROM unnest(datacl) a),
    (SELECT setconfig FROM pg_db_role_setting WHERE setdatabase = d.oid) FROM pg_database d ORDER BY 1`;
  expect(await to.sql('postgres', facts)).toBe(await from.sql('postgres', facts));
  expect(await to.sql('postgres', "SELECT pg_has_role('own er', 'reader', 'MEMBER')")).toBe('t\n');
  expect(await source.undoable(prepared, context())).toBeNull();
  // Twice, as after a break.
  await source.apply(prepared, context());
  await source.undo(prepared, context());
  await source.undo(prepared, context());
  await source.forget(prepared, context(), { keepOld: false });
  expect(await names()).toEqual(['postgres']);
  expect(await to.sql('postgres', "SELECT count(*) FROM pg_roles WHERE rolname = 'own er'")).toBe('0\n');
});

test('what exists is refused before anything is made; with drop_existing it makes way, and comes back', async () => {
  await to.sql('postgres', 'CREATE DATABASE bench');
  await to.sql('bench', "CREATE TABLE mine AS SELECT 'precious' AS what");
  await expect(source.check(options('job-2'))).rejects.toMatchObject({
    code: 'CONFLICT',
    message: expect.stringMatching(/bench already.*drop_existing/),
  });
  await expect(source.prepare(options('job-2'))).rejects.toMatchObject({ code: 'CONFLICT' });
  expect(await names()).toEqual(['bench', 'postgres']);
  const preview = await source.preview({
    ...options('job-2'),
    roots: [],
    entries: (async function* () {})(),
  });
  expect([preview.created.examples, preview.overwritten.examples]).toEqual([['shop "x"'], ['bench']]);

  const prepared = await source.prepare(options('job-2', true));
  // Somebody is connected all the time, and would come again.
  const busy = to.sql('bench', 'SELECT pg_sleep(600)');
  busy.catch(() => undefined);
  await source.apply(prepared, context());
  await expect(busy).rejects.toThrow('terminating connection');
  expect(await to.sql('bench', ROWS)).toBe(await from.sql('bench', ROWS));
  await source.undo(prepared, context());
  expect(await to.sql('bench', 'SELECT what FROM mine')).toBe('precious\n');
  expect(await names()).not.toContain('shop "x"');
  await source.apply(prepared, context());
  await source.forget(prepared, context(), { keepOld: true });
  const { old } = namesFor('bench', 'job-2');
  expect(await names()).toEqual(['bench', old, 'postgres', 'shop "x"']);
  await source.forget(prepared, context(), { keepOld: false });
  expect(await names()).toEqual(['bench', 'postgres', 'shop "x"']);
  expect(await source.undoable(prepared, context())).toContain('is gone');
  await to.sql('postgres', 'DROP DATABASE bench');
  await to.sql('postgres', 'DROP DATABASE "shop ""x"""');
});

test('a dump that does not load fails whole, and an attempt that died is cleared by the next', async () => {
  const broken = Buffer.from(captured.tar);
  const at = broken.indexOf('pgbench_accounts_pkey PRIMARY KEY');
  broken.write('pgbench_accounts_pkey PRIMARY KEX', at);
  await expect(source.prepare(options('job-3', true, broken))).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('pg_restore'),
  });
  expect(await names()).toEqual(['postgres']);
  const { scratch } = namesFor('bench', 'job-3');
  await to.sql('postgres', `CREATE DATABASE "${scratch}"`);
  await expect(
    source.prepare(options('job-3', true, captured.tar.subarray(0, captured.tar.length - 2048))),
  ).rejects.toMatchObject({
    code: 'ARCHIVE_MALFORMED',
  });
  expect(await names()).toEqual(['postgres']);
});

test('what an attempt that died had claimed goes, roles too: with the next one that fails, or when it is forgotten', async () => {
  await to.sql('postgres', 'DROP ROLE IF EXISTS "own er", reader');
  const roles = () =>
    to.sql('postgres', "SELECT rolname FROM pg_roles WHERE rolname IN ('own er', 'reader') ORDER BY 1");
  const dead = async (): Promise<PreparedRestore> => {
    const claims: PreparedRestore[] = [];
    // All is made; only that it came to its end is written down nowhere.
    await source.prepare({
      ...options('job-dead'),
      claim: async (one) => void claims.push(JSON.parse(JSON.stringify(one))),
    });
    expect([(await names()).length, await roles()]).toEqual([3, 'own er\nreader\n']);
    return claims.at(-1) as PreparedRestore;
  };
  const half = captured.tar.subarray(0, captured.tar.length - 2048);
  const next = { ...options('job-dead', false, half), claimed: await dead() };
  await expect(source.prepare(next)).rejects.toMatchObject({ code: 'ARCHIVE_MALFORMED' });
  expect([await names(), await roles()]).toEqual([['postgres'], '']);
  await source.forget(await dead(), context(), { keepOld: false });
  expect([await names(), await roles()]).toEqual([['postgres'], '']);
});

test('of a dump of roles only what makes the missing ones is chosen', () => {
  const dump = [
    'CREATE ROLE alice;',
    "ALTER ROLE alice WITH LOGIN PASSWORD 'SCRAM';",
    'CREATE ROLE "b ""ob";',
    'ALTER ROLE "b ""ob" WITH NOLOGIN;',
    'GRANT alice TO "b ""ob" WITH ADMIN OPTION GRANTED BY postgres;',
    'GRANT "b ""ob" TO alice GRANTED BY postgres;',
    '\\restrict key',
  ].join('\n');
  const { names: made, statements } = missingRoles(dump, new Set(['alice']));
  expect(made).toEqual(['b "ob']);
  expect(statements.split('\n')).toEqual([
    'CREATE ROLE "b ""ob";',
    'ALTER ROLE "b ""ob" WITH NOLOGIN;',
    'GRANT alice TO "b ""ob" WITH ADMIN OPTION;',
  ]);
});

test('names of a job fit the server, however long the database’s is', () => {
  const long = 'ü'.repeat(31);
  const { scratch, old } = namesFor(long, 'job');
  expect([scratch, old].map((name) => Buffer.byteLength(name) <= 63)).toEqual([true, true]);
  expect(scratch).not.toBe(old);
  expect(namesFor(`${long.slice(1)}x`, 'job').scratch).not.toBe(scratch);
});

test('cancelled while it loads, no database and no role is left', async () => {
  const roles = 'SELECT rolname FROM pg_roles ORDER BY 1';
  const before = [await names(), await to.sql('postgres', roles)];
  const loads = async () => (await names()).length > (before[0]?.length ?? 0);
  const cancelled = source.prepare({
    ...options('job-cancel', true),
    ...cancelledWhen(captured.tar, loads),
  });
  await expect(cancelled).rejects.toMatchObject({ code: 'CANCELLED' });
  expect([await names(), await to.sql('postgres', roles)]).toEqual(before);
});
