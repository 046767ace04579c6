// A postgres database that is written to while it is backed up, restored on another server: what comes out is one moment.
import { execFile } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RunningPostgres, startPostgresServer } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const PASSWORD = 'pg-password-1';
const BYTES = { maxBuffer: 1 << 30 };
const run = promisify(execFile);

let here: World;
let source: RunningPostgres;
let target: RunningPostgres;
beforeAll(async () => {
  here = await createWorld('postgres');
  source = await startPostgresServer({ password: PASSWORD });
  target = await startPostgresServer({ password: PASSWORD });
}, 120_000);
afterAll(async () => {
  await here?.close();
  await source?.stop();
  await target?.stop();
}, 120_000);

/** As SQL, without what names the program and its run. */
function statements(dump: string): string {
  return dump
    .split('\n')
    .filter((line) => !/^(--|\\(un)?restrict )/.test(line))
    .join('\n');
}

test('a backup under load is one moment, and restores to exactly that elsewhere', async () => {
  await source.sql('postgres', 'CREATE DATABASE bench');
  await source.tool('pgbench', ['-i', '-q', '-s', '5', 'bench']);
  const { client } = here;
  const add = async (name: string, { port }: RunningPostgres): Promise<string> => {
    const id = await here.addServer(name);
    await client.must('POST', `/api/servers/${id}/services`, {
      ...{ name: 'bench', type: 'postgres', component: 'database' },
      database: { host: '127.0.0.1', port, username: 'postgres', password: PASSWORD, databases: ['bench'] },
    });
    return id;
  };
  const from = await add('from', source);
  const to = await add('to', target);

  const written = async (): Promise<number> =>
    Number(await source.sql('bench', 'SELECT count(*) FROM pgbench_history'));
  const load = source.tool('pgbench', ['--no-vacuum', '--client=2', '--time=30', 'bench']);
  await until('the load is on', async () => (await written()) > 200);
  const before = await written();
  const backup = await here.startBackup({ server_id: from });
  expect(await client.ended(backup)).toMatchObject({ state: 'completed' });
  const after = await written();
  await load;
  expect(await written()).toBeGreaterThan(after);

  const { restoreJobId } = (
    await client.must('POST', `/api/backups/${backup}/restore`, { target_server_id: to })
  ).data;
  expect(await client.ended(restoreJobId)).toMatchObject({ state: 'completed' });

  // Each transaction of the load adds the same to an account, a teller and a branch, and notes it: half of one would show.
  const sums = await target.sql(
    'bench',
    `SELECT (SELECT sum(abalance) FROM pgbench_accounts) = (SELECT sum(delta) FROM pgbench_history),
      (SELECT sum(tbalance) FROM pgbench_tellers) = (SELECT sum(delta) FROM pgbench_history),
      (SELECT sum(bbalance) FROM pgbench_branches) = (SELECT sum(delta) FROM pgbench_history),
      (SELECT count(*) FROM pgbench_history) BETWEEN ${before} AND ${after}`,
  );
  expect(sums.trim().split(/[|\s]+/)).toEqual(['t', 't', 't', 't']);

  // What pg_dump says of the restored database is what it said of the other at that moment, line by line.
  const { data } = await client.must('GET', `/api/backups/${backup}`);
  const folder = new URL(data.location).pathname;
  const [archive = ''] = (await filesBelow(folder)).filter((name) => /\.tar\.gz$/.test(name));
  const unpacked = join(here.dir, 'unpacked');
  await mkdir(unpacked);
  await run('tar', ['xzf', join(folder, archive), '-C', unpacked]);
  const dump = join(here.dir, 'bench.dump');
  const { stdout } = await run(
    'sh',
    ['-c', 'cat dump/db-bench.*[0-9] >"$1" && pg_restore --file=- "$1"', 'sh', dump],
    { ...BYTES, cwd: unpacked },
  );
  const restored = await target.tool('pg_dump', ['--format=plain', 'bench']);
  expect(statements(stdout).length).toBeGreaterThan(10_000_000);
  await writeFile(join(here.dir, 'a.sql'), statements(stdout));
  await writeFile(join(here.dir, 'b.sql'), statements(restored));
  await run('cmp', [join(here.dir, 'a.sql'), join(here.dir, 'b.sql')]);
}, 300_000);
