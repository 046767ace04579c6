// MariaDB, SQLite and Redis through the whole system: backed up over ssh, verified, replaced, compared, and put back.
import { execFile, spawn } from 'node:child_process';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RunningMariadb, requireTools, startMariadb } from '@tarfleet/testbed';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const run = promisify(execFile);
const WAIT = { prefer: 'wait=60' };
/** Of a job on a machine that does much else. */
const PATIENCE_MS = 240_000;
const PASSWORD = "engines-canary'9";
let world: World;
let serverId: string;
beforeAll(async () => {
  world = await createWorld('postgres');
  serverId = await world.addServer('source');
}, 300_000);
afterAll(() => world?.close(), 60_000);

async function addDatabase(
  body: { name: string; type: string; database: object } & Record<string, unknown>,
): Promise<void> {
  await world.client.must('POST', `/api/servers/${serverId}/services`, { component: 'database', ...body });
}

/** Backs a service up, changes its database, restores it with and without permission, and takes that back. */
async function thereAndBack(
  name: string,
  method: string,
  { look, change }: { look: () => Promise<string>; change: () => Promise<unknown> },
): Promise<void> {
  const { client } = world;
  const before = await look();
  const body = { type: 'full', encrypt: true, services: [name] };
  const { data } = await client.must('POST', '/api/backups/create', body);
  await client.ended(data.backup_id, PATIENCE_MS);
  const { data: details } = await client.must('GET', `/api/backups/${data.backup_id}`);
  expect([details.status, details.error]).toEqual(['completed', null]);
  expect(details.components.database).toMatchObject({
    backup_method: method,
    records_count: expect.any(Number),
  });
  const { data: verified } = await client.must(
    'POST',
    `/api/backups/verify/${data.backup_id}`,
    { test_restore: true },
    WAIT,
  );
  expect(verified.verification_status).toBe('passed');
  await change();
  const after = await look();
  expect(after).not.toBe(before);
  const restore = `/api/backups/${data.backup_id}/restore`;
  const refused = await client.request('POST', restore, {}, WAIT);
  expect(refused.body).toMatchObject({
    code: 'RESTORE_FAILED',
    message: expect.stringContaining('drop_existing'),
  });
  expect(await look()).toBe(after);
  const { data: done } = await client.must('POST', restore, { database: { dropExisting: true } });
  expect(await client.ended(done.restoreJobId, PATIENCE_MS)).toMatchObject({
    state: 'completed',
    failure: null,
  });
  expect(await look()).toBe(before);
  const { data: undone } = await client.must(
    'POST',
    `/api/backups/restore-jobs/${done.restoreJobId}/rollback`,
    {},
  );
  expect(await client.ended(undone.rollbackJobId, PATIENCE_MS)).toMatchObject({ state: 'completed' });
  expect(await look()).toBe(after);
  expect(world.logs()).not.toContain('canary');
}

test('a shop in MariaDB', async () => {
  const mariadb: RunningMariadb = await startMariadb({ password: PASSWORD });
  try {
    await mariadb.sql(
      `CREATE DATABASE shop; USE shop; CREATE TABLE orders (id INT PRIMARY KEY, cents INT);
       INSERT INTO orders SELECT seq, seq * 3 FROM seq_1_to_20000;
       CREATE TRIGGER no_gifts BEFORE INSERT ON orders FOR EACH ROW SET NEW.cents = ABS(NEW.cents);
       CREATE VIEW rich AS SELECT * FROM orders WHERE cents > 50000;`,
    );
    await addDatabase({
      ...{ name: 'shop', type: 'mysql' },
      database: { host: mariadb.socket, username: 'backup', password: PASSWORD, databases: ['shop'] },
    });
    await thereAndBack('shop', 'mariadb-dump', {
      look: () =>
        mariadb
          .sql('SELECT * FROM orders; SELECT * FROM rich; SHOW TRIGGERS LIKE "%"', 'shop')
          .then(withoutTimes),
      change: () => mariadb.sql('DELETE FROM orders WHERE id % 7 = 0', 'shop'),
    });
  } finally {
    await mariadb.stop();
  }
}, 300_000);

test('a SQLite database between its hooks', async () => {
  await requireTools(['sqlite3']);
  const dir = join(world.dir, 'sqlite');
  await mkdir(dir);
  const path = join(dir, 'app.db');
  const sql = async (text: string): Promise<string> => (await run('sqlite3', [path, text])).stdout;
  await sql('PRAGMA journal_mode = WAL; CREATE TABLE t (n); INSERT INTO t VALUES (1), (2)');
  const hook = (word: string) => ({
    command: ['sh', '-c', `echo ${word} >>${dir}/hooks`],
    timeout_seconds: 20,
  });
  await addDatabase({
    ...{ name: 'app', type: 'sqlite', database: { path } },
    hooks: { before: hook('before'), after: hook('after') },
  });
  await thereAndBack('app', 'sqlite3_backup', {
    look: () => sql('SELECT n FROM t ORDER BY n'),
    change: () => sql('INSERT INTO t VALUES (3)'),
  });
  expect(await readFile(join(dir, 'hooks'), 'utf8')).toBe('before\nafter\n');
}, 300_000);

test('a Redis, stopped for its file to be replaced', async () => {
  const tools = await requireTools(['redis-server', 'redis-cli']);
  const dir = join(world.dir, 'redis');
  await mkdir(dir);
  const port = await freePort();
  const conf = join(dir, 'redis.conf');
  await writeFile(
    conf,
    `port ${port}\nbind 127.0.0.1\ndir ${dir}\nsave 3600 1\nappendonly no\nrequirepass "${PASSWORD}"\ndaemonize yes\npidfile ${dir}/pid\n`,
  );
  const env = { ...process.env, REDISCLI_AUTH: PASSWORD };
  const cli = async (...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(port), ...args], { env })).stdout;
  spawn(tools['redis-server'], [conf], { stdio: 'ignore' });
  await until('redis answers', async () => (await cli('PING').catch(() => '')).includes('PONG'));
  try {
    for (let key = 0; key < 50; key += 1) await cli('SET', `key:${key}`, 'v'.repeat(key * 10));
    // The password is in redis' own file: commands that are stored and shown have none.
    const secret = `REDISCLI_AUTH=$(sed -n 's/^requirepass "\\(.*\\)"/\\1/p' ${conf}) redis-cli -p ${port}`;
    await addDatabase({
      ...{ name: 'cache', type: 'redis', database: { host: '127.0.0.1', port, password: PASSWORD } },
      stop: {
        command: [
          'sh',
          '-c',
          `${secret} SHUTDOWN SAVE; while kill -0 $(cat ${dir}/pid) 2>/dev/null; do sleep 0.1; done`,
        ],
      },
      start: { command: [tools['redis-server'], conf] },
      status: { command: ['sh', '-c', `${secret} PING | grep -q PONG`] },
    });
    await thereAndBack('cache', 'redis_rdb', {
      look: async () =>
        (await Promise.all(Array.from({ length: 51 }, (_, key) => cli('GET', `key:${key}`)))).join(),
      change: async () => {
        await cli('SET', 'key:7', 'since the backup');
        await cli('SET', 'key:50', 'new');
      },
    });
  } finally {
    await cli('SHUTDOWN', 'NOSAVE').catch(() => undefined);
  }
}, 300_000);

function withoutTimes(text: string): string {
  return text.replace(/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)?/g, '');
}

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await new Promise((done) => server.once('listening', done));
  const address = server.address();
  await new Promise((done) => server.close(done));
  return typeof address === 'object' && address ? address.port : 0;
}
