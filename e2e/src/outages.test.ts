// The queue or the database goes away for ten seconds in the middle of everything, and comes back, with or
// without what was in it. Every accepted backup still ends well.
import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { type RunningPostgres, startPostgres } from '@tarfleet/stack';
import { type RunningRedis, startRedis } from '@tarfleet/testbed';
import { createWorld, type World } from './world.ts';

const OUTAGE_MS = 10_000;
const TREES = 5;

let world: World | undefined;
const opened: { stop(): Promise<void> }[] = [];
afterEach(async () => {
  await world?.close();
  world = undefined;
  for (const one of opened.splice(0).reverse()) await one.stop();
}, 120_000);

/** Services whose backups take some seconds, and their backups' ids. */
async function startBackups(here: World): Promise<string[]> {
  const server = await here.addServer('source');
  const ids: string[] = [];
  for (let index = 0; index < TREES; index += 1) {
    const tree = join(here.dir, 'data', `tree-${index}`);
    await mkdir(tree, { recursive: true });
    await writeFile(join(tree, 'random'), randomBytes(60 << 20));
    await here.addService(server, `service-${index}`, [tree]);
    ids.push(await here.startBackup({ services: [`service-${index}`] }));
  }
  return ids;
}

async function expectAllCompleted(here: World, ids: string[]): Promise<void> {
  for (const id of ids) {
    const job = await here.client.ended(id, 180_000);
    expect({ id, state: job.state, failure: job.failure }).toEqual({ id, state: 'completed', failure: null });
    const verified = await here.client.request('POST', `/api/backups/${id}/verify`, undefined, {
      prefer: 'wait=60',
    });
    expect(verified.body.data.isValid).toBe(true);
  }
}

async function redisWorld(): Promise<RunningRedis> {
  const redis = await startRedis();
  world = await createWorld('redis', { queueUrl: redis.url(), workers: 2 });
  return redis;
}

test('a Redis that does not answer for ten seconds loses nothing', async () => {
  const redis = await redisWorld();
  opened.push(redis);
  const here = world as World;
  const ids = await startBackups(here);
  redis.process.kill('SIGSTOP');
  const during = await here.client.request('POST', '/api/backups/create', {
    type: 'full',
    encrypt: false,
    services: ['service-0'],
  });
  // The service is leased by the first backup; what matters is that the answer comes, and comes from the rules.
  expect([202, 409]).toContain(during.status);
  await sleep(OUTAGE_MS);
  redis.process.kill('SIGCONT');
  await expectAllCompleted(here, ids);
}, 300_000);

test('a Redis that comes back empty loses nothing', async () => {
  const redis = await redisWorld();
  const here = world as World;
  const ids = await startBackups(here);
  await redis.stop();
  await here.addService((await here.client.must('GET', '/api/servers')).data[0].id, 'late', [
    join(here.dir, 'data/tree-0'),
  ]);
  const during = await here.client.must('POST', '/api/backups/create', {
    type: 'full',
    encrypt: false,
    services: ['late'],
  });
  await sleep(OUTAGE_MS);
  opened.push(await startRedis({ port: redis.port }));
  await expectAllCompleted(here, [...ids, during.data.backup_id]);
}, 300_000);

test('a Postgres that is gone for ten seconds, with queue and records, loses nothing', async () => {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-outage-'));
  opened.push({ stop: () => rm(dir, { recursive: true, force: true }) });
  await chmod(dir, 0o755);
  const folder = join(dir, 'postgres');
  let postgres: RunningPostgres = await startPostgres({ dir: folder });
  opened.push({ stop: () => postgres.stop() });
  await postgres.ensureDatabase('records');
  await postgres.ensureDatabase('queue');
  world = await createWorld('postgres', {
    databaseUrl: postgres.url('records'),
    queueUrl: postgres.url('queue'),
    workers: 2,
  });
  const here = world;
  const ids = await startBackups(here);
  await postgres.stop();
  const during = await here.client.request('POST', '/api/backups/create', { type: 'full', encrypt: false });
  expect(during.status).toBe(503);
  expect(during.body.code).toBe('UNAVAILABLE');
  await sleep(OUTAGE_MS);
  postgres = await startPostgres({ dir: folder, port: postgres.port });
  await expectAllCompleted(here, ids);
}, 300_000);
