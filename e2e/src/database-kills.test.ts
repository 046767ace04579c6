// Workers killed in the middle of restores of databases: each is entirely old or entirely new, and nothing else is left.
import { execFile, spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, expect, test } from '@jest/globals';
import { requireTools, startFaultProxy, startMariadb, startPostgresServer, startS3 } from '@tarfleet/testbed';
import { createRandom } from './faults/random.ts';
import { freePort } from './stack-command.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const run = promisify(execFile);
const PASSWORD = 'kills-1';
const SEED = randomInt(1_000_000);
const DUMPS = '/var/lib/tarfleet/databases';
const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one();
}, 120_000);

interface Engine {
  name: string;
  /** All of its data, as text. */
  look(): Promise<string>;
  /** Makes the data another than what was backed up. */
  change(): Promise<unknown>;
  /** What a restore has made beside the data, by name. */
  left(jobId: string): Promise<string[]>;
}

test('workers die while databases are brought, and while they are put in place', async () => {
  process.stderr.write(`database-kills: seed ${SEED}\n`);
  const random = createRandom(SEED);
  const { world, proxy, engines, newest, holdBack } = await open();
  const { client, stack } = world;
  const body = { type: 'full', encrypt: false, compress: false, verify: false };
  const { backup_id } = (await client.must('POST', '/api/backups/create', body)).data;
  expect(await client.ended(backup_id)).toMatchObject({ state: 'completed' });
  const backedUp = new Map<string, string>();
  for (const { name, look } of engines) backedUp.set(name, await look());

  // Each takes two restores at once.
  let workers = [...stack.workers];
  const kill = async (): Promise<void> => {
    for (const { child } of workers) child.kill('SIGKILL');
    await until('they are dead', async () => workers.every(({ child }) => child.signalCode !== null));
  };
  const revive = async (): Promise<void> => {
    workers = await Promise.all([stack.addWorker(), stack.addWorker()]);
  };
  const restoreAll = async (): Promise<Map<string, string>> => {
    const jobs = new Map<string, string>();
    for (const { name } of engines) {
      const wish = { verifyIntegrity: false, createRollbackPoint: false, database: { dropExisting: true } };
      const services = { restoreType: 'selective', selectedServices: [name] };
      const { data } = await client.must('POST', `/api/backups/${backup_id}/restore`, {
        ...wish,
        ...services,
      });
      jobs.set(name, data.restoreJobId);
    }
    return jobs;
  };
  const leftOf = async (jobs: Map<string, string>): Promise<string[]> =>
    (await Promise.all(engines.map(({ name, left }) => left(jobs.get(name) ?? '')))).flat();
  const changeAll = async (): Promise<Map<string, string>> => {
    const changed = new Map<string, string>();
    for (const { name, change, look } of engines) {
      await change();
      changed.set(name, await look());
      expect(changed.get(name) === backedUp.get(name)).toBe(false);
    }
    return changed;
  };
  /** Each is as its job's end says, and nothing is left of it. */
  const expectWhole = async (jobs: Map<string, string>, before: Map<string, string>): Promise<string[]> => {
    const states: string[] = [];
    for (const { name, look } of engines) {
      const job = await client.ended(jobs.get(name) ?? '');
      const now = await look();
      const expected = job.state === 'completed' ? backedUp : before;
      expect([name, job.state, now === expected.get(name)]).toEqual([name, job.state, true]);
      states.push(job.state);
    }
    await until('nothing is left', async () => (await leftOf(jobs)).length === 0, 15_000).catch(async () => {
      expect(await leftOf(jobs)).toEqual([]);
    });
    return states;
  };

  // While they are brought; and then nobody wants them any more.
  const before = await changeAll();
  // An archive is fetched 16 MiB at a time, its dump goes on 8 MiB at a time: some of it comes through, never all.
  proxy.decide = ({ method, url, headers }) => {
    const isRest = method === 'GET' && url.includes('.tar.gz') && !headers.range?.startsWith('bytes=0-');
    return isRest ? 'hang' : 'pass';
  };
  let jobs = await restoreAll();
  for (const { name, left } of engines)
    await until(
      `something of ${name} is brought`,
      async () => (await left(jobs.get(name) ?? '')).length > 0,
    ).catch(async (cause) => {
      const job = await client.must('GET', `/api/jobs/${jobs.get(name)}`);
      throw new Error(`Of ${name} nothing was brought: ${JSON.stringify(job.data)}`, { cause });
    });
  const made = await leftOf(jobs);
  expect(made).toEqual(expect.arrayContaining(['role keeper']));
  await kill();
  // Whoever goes on makes all of it anew, and is no better off.
  const dead = await newest();
  await revive();
  await until('another worker brings pg again', async () => (await newest()) > dead);
  await kill();
  proxy.decide = () => 'pass';
  for (const id of jobs.values()) await client.must('POST', `/api/jobs/${id}/cancel`, {});
  await revive();
  expect(await expectWhole(jobs, before)).toEqual(engines.map(() => 'cancelled'));

  // While they are put in place, as far as that can be held up.
  const goOn = await holdBack();
  jobs = await restoreAll();
  const phaseOf = async (name: string): Promise<string> => {
    const path = `/var/lib/tarfleet/restores/${jobs.get(name)}/journal.json`;
    return JSON.parse(await readFile(path, 'utf8').catch(() => '{}')).phase ?? '';
  };
  for (const name of ['pg', 'shop'])
    await until(`${name} is put in place`, async () => (await phaseOf(name)) === 'applying');
  await until('redis is being stopped', async () => (await phaseOf('cache')) === 'stopping');
  await sleep(300);
  await kill();
  await goOn();
  await revive();
  expect(await expectWhole(jobs, before)).toEqual(engines.map(() => 'completed'));

  // At any moment.
  const changed = await changeAll();
  jobs = await restoreAll();
  for (let kills = 0; kills < 2; kills += 1) {
    await sleep(random() * 2_500);
    await kill();
    if (kills === 1)
      for (const id of jobs.values()) await client.request('POST', `/api/jobs/${id}/cancel`, {});
    await revive();
  }
  await expectWhole(jobs, changed);
}, 400_000);

/** Four databases of one server, whose archives can be held up on their way. */
async function open() {
  const s3 = await startS3();
  opened.push(() => s3.stop());
  const bucket = `kills-${randomBytes(6).toString('hex')}`;
  await s3.createBucket(bucket);
  const proxy = await startFaultProxy(s3.endpoint);
  opened.push(() => proxy.stop());
  const { region, accessKeyId, secretAccessKey } = s3;
  const world = await createWorld('postgres', {
    destination: { type: 's3', bucket, region, endpoint: proxy.url, accessKeyId, secretAccessKey },
    workers: 2,
    workerEnv: { LOCK_MS: '2000', STALLED_CHECK_MS: '500' },
  });
  opened.push(() => world.close());
  const serverId = await world.addServer('source');
  const add = (service: object) =>
    world.client.must('POST', `/api/servers/${serverId}/services`, { component: 'database', ...service });
  const pg = await openPostgres(add);
  const shop = await openMariadb(add);
  const cache = await openRedis(world, add);
  const engines = [pg.engine, shop.engine, await openSqlite(world, add), cache.engine];
  const holdBack = async (): Promise<() => Promise<void>> => {
    const releases = [await pg.hold(), await shop.hold(), await cache.hold()];
    return async () => {
      for (const release of releases) await release();
    };
  };
  return { world, proxy, engines, newest: pg.newest, holdBack };
}

type Add = (service: object) => Promise<unknown>;

async function openPostgres(add: Add) {
  const server = await startPostgresServer({ password: PASSWORD });
  opened.push(() => server.stop());
  await server.sql('postgres', 'CREATE DATABASE pg');
  await server.sql('postgres', 'CREATE ROLE keeper');
  await server.sql(
    'pg',
    'CREATE TABLE t AS SELECT n, repeat(md5(n::text), 30) AS text FROM generate_series(1, 19000) n',
  );
  await add({
    ...{ name: 'pg', type: 'postgres' },
    database: {
      host: '127.0.0.1',
      port: server.port,
      username: 'postgres',
      password: PASSWORD,
      databases: ['pg'],
    },
  });
  const list = (what: string, sql: string) =>
    server.sql('postgres', sql).then((text) =>
      text
        .split('\n')
        .filter(Boolean)
        .map((name) => `${what} ${name}`),
    );
  const engine: Engine = {
    name: 'pg',
    look: () => server.sql('pg', 'SELECT count(*), md5(string_agg(text, NULL ORDER BY n)) FROM t'),
    async change() {
      await server.sql('pg', 'DELETE FROM t WHERE n % 7 = 3');
      // A restore makes it again, and takes it away when it is none after all.
      await server.sql('postgres', 'DROP ROLE IF EXISTS keeper');
    },
    async left() {
      const roles = await list('role', "SELECT rolname FROM pg_roles WHERE rolname = 'keeper'");
      const isRestored = (await server.sql('pg', 'SELECT count(*) FROM t')).trim() === '19000';
      const databases = await list(
        'database',
        "SELECT datname FROM pg_database WHERE datname LIKE '%tarfleet%'",
      );
      return [...databases, ...(isRestored ? [] : roles)];
    },
  };
  const hold = async () => {
    // Nobody renames the database while this is not committed.
    const locking = server.sql('postgres', "BEGIN; COMMENT ON DATABASE pg IS 'held'; SELECT pg_sleep(600)");
    locking.catch(() => undefined);
    const end = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE 'BEGIN; COMMENT%'";
    return async (): Promise<void> => void (await server.sql('postgres', end));
  };
  /** Of the databases that a restore makes. */
  const newest = () =>
    server.sql('postgres', "SELECT max(oid) FROM pg_database WHERE datname LIKE '%tarfleet%'").then(Number);
  return { engine, hold, newest };
}

async function openMariadb(add: Add) {
  const server = await startMariadb({ password: PASSWORD });
  opened.push(() => server.stop());
  await server.sql(
    `CREATE DATABASE shop; USE shop; CREATE TABLE t (id INT PRIMARY KEY, text VARCHAR(1100));
     INSERT INTO t SELECT seq, REPEAT(SHA2(seq, 512), 8) FROM seq_1_to_18000;`,
  );
  await add({
    ...{ name: 'shop', type: 'mysql' },
    database: { host: server.socket, username: 'backup', password: PASSWORD, databases: ['shop'] },
  });
  const engine: Engine = {
    name: 'shop',
    look: () => server.sql('SELECT COUNT(*), SUM(CRC32(text)) FROM t', 'shop'),
    change: () => server.sql('DELETE FROM t WHERE id % 7 = 3', 'shop'),
    async left(jobId) {
      const scratch = (await server.sql("SHOW DATABASES LIKE 'tarfleet%'")).split('\n').filter(Boolean);
      const dumps = await readdir(DUMPS).catch(() => []);
      return [...scratch, ...dumps.filter((name) => name.startsWith(jobId))];
    },
  };
  const hold = async () => {
    // Nobody drops a table that is read.
    const reading = server.sql('BEGIN; SELECT COUNT(*) FROM t; SELECT SLEEP(600)', 'shop');
    reading.catch(() => undefined);
    return async (): Promise<void> => {
      const list = await server.sql(
        "SELECT ID FROM information_schema.PROCESSLIST WHERE INFO LIKE 'SELECT SLEEP%'",
      );
      for (const id of list.split('\n').filter(Boolean)) await server.sql(`KILL ${id}`);
    };
  };
  return { engine, hold };
}

async function openSqlite(world: World, add: Add): Promise<Engine> {
  await requireTools(['sqlite3']);
  const dir = join(world.dir, 'sqlite');
  await mkdir(dir);
  const path = join(dir, 'app.db');
  const sql = async (text: string): Promise<string> => (await run('sqlite3', [path, text])).stdout;
  await sql(`CREATE TABLE t (n, text); WITH RECURSIVE c(n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM c WHERE n < 6000)
    INSERT INTO t SELECT n, hex(randomblob(1500)) FROM c`);
  await add({ name: 'app', type: 'sqlite', database: { path } });
  return {
    name: 'app',
    look: () => sql('SELECT count(*), sum(length(text)), max(text), min(text) FROM t'),
    change: () => sql('DELETE FROM t WHERE n % 7 = 3'),
    left: async () => (await readdir(dir)).filter((name) => name.startsWith('.tarfleet')),
  };
}

async function openRedis(world: World, add: Add) {
  const tools = await requireTools(['redis-server', 'redis-cli']);
  const dir = join(world.dir, 'redis');
  await mkdir(dir);
  const port = await freePort();
  const conf = join(dir, 'redis.conf');
  await writeFile(
    conf,
    `port ${port}\nbind 127.0.0.1\ndir ${dir}\nsave 3600 1\nappendonly no\ndaemonize yes\npidfile ${dir}/pid\n`,
  );
  const cli = async (...args: string[]): Promise<string> =>
    (await run('redis-cli', ['-p', String(port), ...args], { maxBuffer: 1 << 26 })).stdout;
  spawn(tools['redis-server'], [conf], { stdio: 'ignore' });
  await until('redis answers', async () => (await cli('PING').catch(() => '')).includes('PONG'));
  opened.push(() => cli('SHUTDOWN', 'NOSAVE').catch(() => undefined));
  const filling = run('redis-cli', ['-p', String(port)], { maxBuffer: 1 << 20 });
  const sets = Array.from(
    { length: 280 },
    (_, key) => `SET key:${key} ${randomBytes(50_000).toString('base64')}`,
  );
  filling.child.stdin?.end(`${sets.join('\n')}\n`);
  await filling;
  const stop = `while [ -e ${dir}/held ]; do sleep 0.1; done; redis-cli -p ${port} SHUTDOWN SAVE; while kill -0 $(cat ${dir}/pid) 2>/dev/null; do sleep 0.1; done`;
  await add({
    ...{ name: 'cache', type: 'redis', database: { host: '127.0.0.1', port } },
    stop: { command: ['sh', '-c', stop] },
    start: { command: [tools['redis-server'], conf] },
    status: { command: ['sh', '-c', `redis-cli -p ${port} PING | grep -q PONG`] },
  });
  const engine: Engine = {
    name: 'cache',
    look: async () => `${await cli('DBSIZE')} ${await cli('STRLEN', 'key:7')} ${await cli('GET', 'key:9')}`,
    change: () => cli('SET', 'key:7', 'since the backup'),
    left: async () => (await readdir(dir)).filter((name) => name.startsWith('.tarfleet')),
  };
  const hold = async () => {
    await writeFile(join(dir, 'held'), '');
    return async (): Promise<void> => void (await run('rm', [join(dir, 'held')]));
  };
  return { engine, hold };
}
