// Processes killed at every step of deletions and of a sweep: what lives stays whole, what goes is gone, nothing is half there.
import { randomBytes, randomInt } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, jest, test } from '@jest/globals';
import type { Process } from '@tarfleet/stack';
import {
  compareTrees,
  type Fault,
  type FaultProxy,
  makeNastyTree,
  type RunningRedis,
  type RunningS3,
  snapshotTree,
  startFaultProxy,
  startRedis,
  startS3,
} from '@tarfleet/testbed';
import pg from 'pg';
import type { Client } from './client.ts';
import { createRandom, pick } from './faults/random.ts';
import { startTcpProxy, type TcpProxy } from './faults/tcp-proxy.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const QUICK = { RETENTION_EVERY_MS: '300', RECONCILE_PATIENCE_MS: '2000' };
const RANDOM_KILLS = 4;
const SEED = randomInt(1_000_000);
jest.setTimeout(600_000);
const opened: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const one of opened.splice(0).reverse()) await one();
}, 60_000);

interface Removal {
  key: string;
  /** Decides over it; until then it waits. */
  go(fault: Fault): void;
}

test('retention and its sweep, with processes killed at each of their steps', async () => {
  process.stderr.write(`retention-kills: seed ${SEED}\n`);
  const random = createRandom(SEED);
  const { world, s3, queueWay, database, bucket, proxy } = await open();
  let { client } = world;
  let kills = 0;
  const living: { worker: Process | undefined; api: Process } = {
    worker: world.stack.workers[0],
    api: world.stack.api,
  };
  const kill = async (victim: 'worker' | 'api'): Promise<void> => {
    const { child } = living[victim] ?? {};
    child?.kill('SIGKILL');
    kills += 1;
    if (child) await until(`${victim} is dead`, async () => child.signalCode !== null);
    // What a dead worker asked for is not carried out any more.
    if (victim === 'worker') for (const { go } of arrivals.splice(0)) go('cut');
    await expectNothingHalf();
  };
  const revive = async (victim: 'worker' | 'api'): Promise<void> => {
    if (victim === 'worker') living.worker = await world.stack.addWorker();
    else {
      const { process: api, url } = await world.stack.addApi(QUICK);
      living.api = api;
      client = client.at(url);
    }
  };
  const statusOf = async (id: string): Promise<string> =>
    (await database.query('SELECT status FROM backups WHERE id = $1', [id])).rows[0]?.status ?? 'gone';
  const keysOf = async (...ids: string[]): Promise<string[]> =>
    (await s3.everything(bucket)).filter((key) => ids.some((id) => key.includes(id))).sort();

  /** All objects of each backup once it was made. */
  const whole = new Map<string, string[]>();
  const expectNothingHalf = async (): Promise<void> => {
    const there = await s3.everything(bucket);
    for (const [id, keys] of whole) {
      const left = keys.filter((key) => there.includes(key));
      if (left.some((key) => key.endsWith('/manifest.json'))) expect([id, left]).toEqual([id, keys]);
      else expect(['deleting', 'deleted', 'gone']).toContain(await statusOf(id));
    }
  };

  // While the gate is shut, each removal waits for the test.
  let shut = false;
  const arrivals: Removal[] = [];
  proxy.decide = ({ method, url }) => {
    if (method !== 'DELETE' || !shut) return 'pass';
    const key = decodeURIComponent(url.split('?')[0] ?? '').slice(bucket.length + 2);
    return new Promise((go) => arrivals.push({ key, go }));
  };
  const removal = (): Promise<Removal> => until('something is removed', async () => arrivals.shift());
  const openGate = (): void => {
    shut = false;
    for (const { go } of arrivals.splice(0)) go('pass');
  };

  const tree = join(world.dir, 'data/site');
  await makeNastyTree(tree);
  await world.addService(await world.addServer('source'), 'site', [tree]);
  const start = async (type: string): Promise<string> => {
    // Each has a file that later ones find unchanged: they need it.
    await writeFile(join(tree, `file-${randomBytes(4).toString('hex')}`), randomBytes(1_000));
    // Beyond what counts as just changed: else the next one would have the file, too, and not need this one.
    await sleep(3_100);
    return (await client.must('POST', '/api/backups/create', { type })).data.backup_id;
  };
  const end = async (id: string): Promise<string> => {
    expect(await client.ended(id)).toMatchObject({ state: 'completed' });
    return id;
  };
  const backUp = async (type: string): Promise<string> => {
    const id = await end(await start(type));
    whole.set(id, await keysOf(id));
    return id;
  };
  const [first, second, third] = [
    await backUp('full'),
    await backUp('incremental'),
    await backUp('incremental'),
  ];
  const hidden = await backUp('full');

  // The newest one's worker dies when its archive is stored and nobody has told; so there is something to sweep.
  const decide = proxy.decide;
  let lost = '';
  proxy.decide = (request) => {
    if (lost !== '' || request.method !== 'PUT' || !request.url.includes('.tar.gz')) return decide(request);
    lost = decodeURIComponent(request.url.split('?')[0] ?? '').slice(bucket.length + 2);
    return 'keep-answer';
  };
  const newest = await start('incremental');
  await until('an archive is stored', async () => (await keysOf(newest)).includes(lost));
  await kill('worker');
  proxy.decide = decide;
  shut = true;
  await revive('worker');
  await end(newest);
  const before = await snapshotTree(tree);
  const swept = await removal();
  expect(swept.key).toBe(lost);
  whole.set(
    newest,
    (await keysOf(newest)).filter((key) => key !== lost),
  );
  // During the sweep.
  await kill('worker');
  swept.go('cut');
  openGate();
  await revive('worker');
  await until('what a dead attempt left is swept', async () => !(await keysOf(newest)).includes(lost));

  // After the mark, before anything is sent.
  queueWay.refuse(true);
  const { data: projects } = await client.must('GET', '/api/projects');
  await client.must('PUT', `/api/projects/${projects[0].id}/retention`, { keep_last: 1 });
  await until('a deletion is marked', async () => (await statusOf(third)) === 'deleting');
  await kill('api');
  expect(await keysOf(third)).toEqual(whole.get(third));
  queueWay.refuse(false);

  // Before the first removal, between two, and when the last one is carried out and nobody knows.
  shut = true;
  await revive('api');
  for (let at = 0; (await keysOf(third)).length > 0; at += 1) {
    const { key, go } = await removal();
    expect(whole.get(third)).toContain(key);
    if (at === 0) expect(key).toMatch(/\/manifest\.json$/);
    const isLast = (await keysOf(third)).length === 1;
    if (isLast) go('keep-answer');
    if (isLast) await until('the last one is removed', async () => (await keysOf(third)).length === 0);
    if (at < 2 || isLast) await kill('worker');
    go(at === 0 ? 'cut' : 'pass');
    if (at < 2 && !isLast) await revive('worker');
    // Else it could still be counted when the next one is looked at, and the last one not be known.
    else await until('one is removed', async () => !(await keysOf(third)).includes(key));
  }
  // Its end is told by a worker to nobody: the one API process has died, though not before it had sent the job.
  await revive('worker');
  for (let begun = false; !begun; ) {
    const { key, go } = await removal();
    begun = whole.get(second)?.includes(key) === true;
    if (begun) await kill('api');
    go('pass');
  }
  openGate();
  await until('it is carried out', async () => (await keysOf(second)).length === 0);
  await kill('worker');

  // The rest goes while somebody dies at random.
  shut = true;
  await Promise.all([revive('api'), revive('worker')]);
  for (let at = 0; at < RANDOM_KILLS; at += 1) {
    const { go } = await removal();
    const victim = pick(random, ['worker', 'worker', 'api'] as const);
    const early = random() < 0.5;
    // A worker that lives on would wait long for an answer that is kept.
    const faults = [
      'cut',
      'pass',
      'lose-answer',
      ...(victim === 'worker' ? ['keep-answer' as const] : []),
    ] as const;
    const fault = pick(random, faults);
    if (early) go(fault);
    await sleep(random() * 200);
    await kill(victim);
    go(fault);
    await revive(victim);
  }
  openGate();
  await until(
    'all that goes is gone',
    async () => (await keysOf(first, second, third)).length === 0,
    120_000,
  );
  await until('and ended', async () => {
    const found = await Promise.all([first, second, third].map(statusOf));
    return found.every((status) => status === 'deleted' || status === 'gone');
  });
  expect(kills).toBeGreaterThanOrEqual(12);
  for (const id of [hidden, newest]) expect(await keysOf(id)).toEqual(whole.get(id));
  await expectRestorable(client, newest, { tree, before, out: join(world.dir, 'data/out') });
});

async function expectRestorable(
  client: Client,
  id: string,
  { tree, before, out }: { tree: string; before: Awaited<ReturnType<typeof snapshotTree>>; out: string },
): Promise<void> {
  const { data: list } = await client.must('GET', '/api/backups/list');
  expect(list.backups.map((one: { id: string }) => one.id)).toEqual([id]);
  const deep = await client.request('POST', `/api/backups/${id}/verify`, { deep_verification: true }, WAIT);
  expect(deep.body).toMatchObject({ data: { isValid: true } });
  const restored = await client.request('POST', `/api/backups/${id}/restore`, { restorePath: out }, WAIT);
  expect(restored.status).toBe(200);
  expect(compareTrees(before, await snapshotTree(join(out, tree)))).toEqual([]);
}

/** A system whose queue and storage can be cut off, which keeps everything until it is told otherwise. */
async function open() {
  const s3: RunningS3 = await startS3();
  opened.push(() => s3.stop());
  const bucket = `kills-${randomBytes(6).toString('hex')}`;
  await s3.createBucket(bucket);
  const proxy: FaultProxy = await startFaultProxy(s3.endpoint);
  opened.push(() => proxy.stop());
  const queue: RunningRedis = await startRedis();
  opened.push(() => queue.stop());
  const queueWay: TcpProxy = await startTcpProxy({ host: '127.0.0.1', port: queue.port });
  opened.push(() => queueWay.stop());
  const { region, accessKeyId, secretAccessKey } = s3;
  const world: World = await createWorld('redis', {
    queueUrl: queue.url().replace(`:${queue.port}`, `:${queueWay.port}`),
    destination: { type: 's3', bucket, region, endpoint: proxy.url, accessKeyId, secretAccessKey },
    apiEnv: QUICK,
    workerEnv: { LOCK_MS: '2000', STALLED_CHECK_MS: '500' },
  });
  opened.push(() => world.close());
  const database = new pg.Client({ connectionString: world.stack.databaseUrl });
  await database.connect();
  opened.push(() => database.end());
  const { data: projects } = await world.client.must('GET', '/api/projects');
  // Under a policy new backups have no days of their own.
  await world.client.must('PUT', `/api/projects/${projects[0].id}/retention`, { keep_last: 100 });
  return { world, s3, bucket, proxy, queueWay, database };
}
