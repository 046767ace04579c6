import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { JOB_KINDS } from '@tarfleet/contracts';
import { createTestDatabase, type TestDatabase } from '@tarfleet/testbed';
import pg from 'pg';
import { createQueueProducer, createQueueWorker, migrateQueue } from './index.ts';
import { aJob, createOpener, eventually, testLogger, untilState } from './testing.ts';

let database: TestDatabase;
let url = '';
const { backend, closeAll } = createOpener(() => url);

beforeAll(async () => {
  database = await createTestDatabase();
});
afterEach(closeAll);
afterAll(() => database.drop());

async function query<T extends pg.QueryResultRow>(sql: string): Promise<T[]> {
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const { rows } = await client.query<T>(sql);
  await client.end();
  return rows;
}

test('a database without the schema is refused until it is migrated, by any number of processes', async () => {
  url = database.url;
  const refused = { code: 'INTERNAL', message: expect.stringContaining('migrateQueue') };
  const options = { url, logger: testLogger() };
  await expect(createQueueProducer(options)).rejects.toMatchObject(refused);
  await expect(createQueueWorker(options)).rejects.toMatchObject(refused);
  await Promise.all([migrateQueue(url), migrateQueue(url), migrateQueue(url)]);
  await migrateQueue(url);
  const producer = await backend.producer();
  await producer.ping();
});

test('a worker of every kind holds few connections, and works beside parameters of its own', async () => {
  const own = new URL(database.url);
  own.searchParams.set('options', '-c work_mem=8MB');
  own.searchParams.set('application_name', 'few');
  url = own.href;
  const producer = await backend.producer();
  const worker = await backend.worker();
  const events = await backend.events();
  const pools = [backend.pool(), backend.pool(), backend.pool()];
  await events.onMessage(async () => {});
  await events.onProgress(pools, () => {});
  const [pool = ''] = pools;
  for (const kind of JOB_KINDS) {
    await worker.consume({ pool, kind, concurrency: 4, handler: async () => kind });
  }
  const jobs = JOB_KINDS.flatMap((kind) => Array.from({ length: 5 }, () => aJob(pool, kind)));
  await Promise.all(jobs.map((job) => producer.enqueue(job)));
  await Promise.all(jobs.map((job) => untilState(producer, job, 'completed')));
  const [found] = await query<{ n: number; listening: number }>(
    `select count(*)::int as n, count(*) filter (where query ilike '%listen %')::int as listening
       from pg_stat_activity where datname = current_database() and pid <> pg_backend_pid()`,
  );
  // Eight at most in each of the three; one of them listens in the worker and in the recorder.
  expect(found?.n).toBeLessThanOrEqual(24);
  expect(found?.listening).toBeLessThanOrEqual(2);
});

test('a role that may only read and write the tables is enough to work', async () => {
  const role = new URL(database.url).pathname.slice(1).replace('t_', 'r_');
  await query(`create role ${role} login password 'hush'`);
  await query(
    `grant usage on schema bullmq to ${role};
     grant select, insert, update, delete on all tables in schema bullmq to ${role};
     grant usage on all sequences in schema bullmq to ${role}`,
  );
  const own = new URL(database.url);
  [own.username, own.password] = [role, 'hush'];
  url = own.href;
  const [producer, worker, events] = [
    await backend.producer(),
    await backend.worker(),
    await backend.events(),
  ];
  let beats = 0;
  await events.onMessage(async () => {
    beats += 1;
  });
  const parent = aJob(backend.pool(), 'backup');
  const child = aJob(parent.pool, 'artifact', { parentJobId: parent.jobId });
  for (const { pool, kind } of [parent, child]) {
    await worker.consume({ pool, kind, concurrency: 1, handler: async () => kind });
  }
  await producer.enqueueFlow(parent, [child]);
  await untilState(producer, parent, 'completed');
  const at = new Date().toISOString();
  const ids = { workerId: 'w', host: 'h', pid: 1, pool: parent.pool, version: '0', startedAt: at, at };
  await worker.publish({
    v: 1,
    type: 'heartbeat',
    stopping: false,
    jobs: [],
    keyring: { keys: [], primary: null },
    ...ids,
  });
  await eventually(() => (beats === 1 ? true : undefined));
  expect(await producer.remove(parent)).toBe(true);
  await closeAll();
  url = database.url;
  await query(`drop owned by ${role}; drop role ${role}`);
  const message = expect.stringContaining('refuses the role or password');
  const noRole = { code: 'UNAVAILABLE', retryable: false, message };
  await expect(createQueueProducer({ url: own.href, logger: testLogger() })).rejects.toMatchObject(noRole);
  await expect(migrateQueue(own.href)).rejects.toMatchObject(noRole);
});
