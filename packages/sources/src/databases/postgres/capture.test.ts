import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { PostgresTarget } from '@tarfleet/contracts';
import { type RunningPostgres, type RunningSshd, startPostgresServer, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { sshSession, until } from '../../files/testing-sessions.ts';
import { captureWhole } from '../testing-captures.ts';
import { createDumpCounter } from './count-dump.ts';

const run = promisify(execFile);
const PASSWORD = "ca:na\\ry'pass%word";
let postgres: RunningPostgres;
let sshd: RunningSshd;
let session: Session;
let dir: string;

const target = (more: Partial<PostgresTarget> = {}): PostgresTarget => ({
  ...{ type: 'postgres', host: '127.0.0.1', port: postgres.port, user: 'postgres', secrets: null },
  ...{ runAs: null, binDir: null, databases: ['bench'], schemaOnly: false, roles: true },
  ...{ includeTables: [], excludeTables: [] },
  ...more,
});

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-pgtest-'));
  postgres = await startPostgresServer({ password: PASSWORD });
  sshd = await startSshd();
  session = await sshSession(sshd);
  await postgres.sql('postgres', 'CREATE DATABASE bench');
  await postgres.tool('pgbench', ['-i', '-q', '-s', '2', 'bench']);
}, 120_000);

afterAll(async () => {
  await session?.close();
  await sshd?.stop();
  await postgres?.stop();
  await rm(dir, { recursive: true, force: true });
});

test('a database, its roles and its counts are in the archive, and pg_restore reads the dump', async () => {
  const captured = await captureWhole(session, target(), { password: PASSWORD });
  expect([...captured.dumps.keys()]).toEqual(['about.json', 'cluster-roles.sql', 'db-bench.dump']);
  expect(captured.facts).toEqual({
    ...{ method: 'pg_dump', databases: ['bench'], tables: 4, records: 200_022 },
    serverVersion: expect.stringMatching(/^\d+/),
  });
  expect(captured.dumps.get('cluster-roles.sql')?.toString()).toContain('CREATE ROLE postgres;');
  const parts = captured.entries.filter(({ path }) => path.toString().includes('db-bench.dump.'));
  expect(parts.length).toBeGreaterThan(1);
  expect(Math.max(...parts.map(({ size }) => size))).toBe(8 * 1024 * 1024);
  expect(captured.index.map(({ path }) => path.toString())).toEqual(
    captured.entries.map(({ path }) => `/${path.toString().replace(/\/$/, '')}`).sort(),
  );
  const file = join(dir, 'bench.dump');
  await writeFile(file, captured.dumps.get('db-bench.dump') ?? '');
  const { stdout } = await run('pg_restore', ['--list', file]);
  expect(stdout).toContain('TABLE DATA public pgbench_accounts');
});

test('names that look like options or settings are names, and are told apart in the archive', async () => {
  const names = ['-h evil', 'Accounts', 'host=/tmp', 'a"b\'c\\d', 'größe/..'];
  for (const name of names) {
    await postgres.sql('postgres', `CREATE DATABASE "${name.replaceAll('"', '""')}"`);
    const at = name.replace(/[\\']/g, '\\$&');
    await postgres.sql(`dbname='${at}'`, 'CREATE TABLE t AS SELECT generate_series(1, 3) AS n');
  }
  const captured = await captureWhole(session, target({ databases: names, roles: false }), {
    password: PASSWORD,
  });
  expect([...captured.dumps.keys()].slice(1)).toEqual(
    [...['%2dh%20evil', 'Accounts', 'a%22b%27c%5cd', 'gr%c3%b6%c3%9fe%2f..', 'host%3d%2ftmp']].map(
      (name) => `db-${name}.dump`,
    ),
  );
  expect(captured.facts).toMatchObject({ tables: 5, records: 15 });
  // A restore reads in the index's order: what it has to know comes first there, too.
  expect(captured.index.map(({ path }) => path.toString())).toEqual(
    captured.entries.map(({ path }) => `/${path.toString().replace(/\/$/, '')}`),
  );
});

test('a schema alone has no rows, and filters choose tables', async () => {
  const schema = await captureWhole(session, target({ schemaOnly: true, roles: false }), {
    password: PASSWORD,
  });
  expect(schema.facts).toMatchObject({ tables: 4, records: 0 });
  const some = await captureWhole(
    session,
    target({ roles: false, includeTables: ['pgbench_*'], excludeTables: ['pgbench_accounts'] }),
    { password: PASSWORD },
  );
  expect(some.facts).toMatchObject({ tables: 3, records: 22 });
});

test('a wrong password and a database that is not there fail with words that say so', async () => {
  await expect(captureWhole(session, target(), { password: 'wrong-canary' })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('password authentication failed'),
  });
  await expect(
    captureWhole(session, target({ databases: ['bench', 'gone'] }), { password: PASSWORD }),
  ).rejects.toMatchObject({
    code: 'PATH_NOT_FOUND',
    message: expect.stringContaining('gone'),
  });
  await expect(
    captureWhole(session, target({ binDir: '/nowhere' }), { password: PASSWORD }),
  ).rejects.toMatchObject({
    code: 'TOOL_MISSING',
  });
});

test('a dump that its server ends half-way fails with the words of pg_dump, and leaves nothing running', async () => {
  const locked = postgres.sql(
    'bench',
    'BEGIN; LOCK TABLE pgbench_accounts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)',
  );
  locked.catch(() => undefined);
  await until(
    async () =>
      (await postgres.sql(
        'postgres',
        "SELECT count(*) FROM pg_locks WHERE mode = 'AccessExclusiveLock' AND granted AND relation IS NOT NULL",
      )) !== '0\n',
  );
  const capturing = captureWhole(session, target(), { password: PASSWORD });
  capturing.catch(() => undefined);
  const waiting =
    "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'pg_dump' AND wait_event_type = 'Lock'";
  await until(async () => (await postgres.sql('postgres', waiting)) === '1\n');
  // While it runs: the password is in no command line and in no environment but a path to it.
  const { stdout: ps } = await run('ps', ['axewwo', 'args'], { maxBuffer: 1 << 26 });
  const ours = ps.split('\n').filter((line) => line.includes('pg_dump') && !line.includes('PGPASSWORD='));
  expect(ours.length).toBeGreaterThan(0);
  expect(ours.join('\n')).not.toContain(PASSWORD);
  expect(ours.join('\n')).toContain('PGPASSFILE=/dev/fd/3');
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'pg_dump'",
  );
  await expect(capturing).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/pg_dump failed on the server[\s\S]*terminating connection/),
  });
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
  );
  await locked.catch(() => undefined);
  await until(async () => (await sshd.commands()).every(({ line }) => !line.includes('pg_dump')));
});

test('a capture that is given up ends pg_dump on the server', async () => {
  const stop = new AbortController();
  const locked = postgres.sql(
    'bench',
    'BEGIN; LOCK TABLE pgbench_accounts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)',
  );
  locked.catch(() => undefined);
  const capturing = captureWhole(session, target(), { password: PASSWORD, signal: stop.signal });
  capturing.catch(() => undefined);
  await until(async () => (await sshd.commands()).some(({ line }) => line.includes('pg_dump')));
  stop.abort(new Error('given up'));
  await expect(capturing).rejects.toThrow('given up');
  await until(async () => (await sshd.commands()).every(({ line }) => !line.includes('pg_dump')));
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()",
  );
  await locked.catch(() => undefined);
});

test('the counter knows a dump that is cut anywhere, in whatever pieces it comes', async () => {
  const { dumps } = await captureWhole(
    session,
    target({ roles: false, excludeTables: ['pgbench_accounts'] }),
    { password: PASSWORD },
  );
  const dump = dumps.get('db-bench.dump') ?? Buffer.alloc(0);
  for (const size of [1, 7, 4096, dump.length]) {
    const counter = createDumpCounter();
    for (let at = 0; at < dump.length; at += size) counter.see(dump.subarray(at, at + size));
    expect(counter.counts()).toEqual({ tables: 3, records: 22, whole: true });
  }
  for (const cut of [1, 5, 100, 400]) {
    const counter = createDumpCounter();
    counter.see(dump.subarray(0, dump.length - cut));
    expect(counter.counts()?.whole).toBe(false);
  }
  const strange = createDumpCounter();
  strange.see(Buffer.from('not a dump at all, and longer than a head'));
  expect(strange.counts()).toBeNull();
});

test('a connection that is cut in the middle of a dump is its error, never its end', async () => {
  const own = await sshSession(sshd);
  const locked = postgres.sql(
    'bench',
    'BEGIN; LOCK TABLE pgbench_accounts IN ACCESS EXCLUSIVE MODE; SELECT pg_sleep(600)',
  );
  locked.catch(() => undefined);
  const capturing = captureWhole(own, target(), { password: PASSWORD });
  capturing.catch(() => undefined);
  await until(async () => (await sshd.commands()).some(({ line }) => line.includes('pg_dump')));
  await sshd.cutConnections();
  await expect(capturing).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  await postgres.sql(
    'postgres',
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'bench' AND pid <> pg_backend_pid()",
  );
  await locked.catch(() => undefined);
  await own.close();
});
