// What lies at a destination and belongs to no backup is told of, and nothing is removed.
import { randomBytes } from 'node:crypto';
import { mkdir, utimes, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type RunningS3, signedFetch, testS3 } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const STRANGER = 'project-7/2026-01-02/019b0000-0000-7000-8000-000000000000';
const bucket = `survey-${randomBytes(6).toString('hex')}`;

let here: World;
let s3: RunningS3;
let tree: string;
let server: string;
let there: string;
beforeAll(async () => {
  s3 = await testS3();
  await s3.createBucket(bucket);
  here = await createWorld('postgres', { apiEnv: { SURVEY_EVERY_MS: '0' } });
  server = await here.addServer('box');
  tree = join(here.dir, 'data/tree');
  await mkdir(tree);
  await writeFile(join(tree, 'random'), randomBytes(1 << 20));
  await here.addService(server, 'tree', [tree]);
  const { endpoint, region, accessKeyId, secretAccessKey } = s3;
  const config = { bucket, region, endpoint, access_key_id: accessKeyId, secret_access_key: secretAccessKey };
  there = (await here.client.must('POST', '/api/destinations', { name: 'bucket', type: 's3', config })).data
    .id;
}, 120_000);
afterAll(async () => {
  await here?.close();
  await s3?.stop();
}, 60_000);

const survey = async (destination: string) => {
  const path = `/api/destinations/${destination}/unknown-objects`;
  const asked = await here.client.request('POST', path, undefined, WAIT);
  expect([asked.status, asked.body.data]).toEqual([200, expect.objectContaining({ state: 'completed' })]);
  const { data, ...rest } = await here.client.must('GET', path);
  expect(rest).toMatchObject({ total: data.length, survey: { state: 'completed', truncated: false } });
  return data as { prefix: string; reason: string; objects: number }[];
};
const asPairs = (found: { prefix: string; reason: string }[]) =>
  found.map(({ prefix, reason }) => [prefix, reason]).sort();

test('a local destination: strangers are told of, backups of every state are not', async () => {
  const { data } = await here.client.must('GET', '/api/destinations');
  const { id, config } = data.find(({ type }: { type: string }) => type === 'local');
  const put = async (name: string, at: Date): Promise<void> => {
    const path = join(config.path, name);
    await mkdir(dirname(path), { recursive: true });
    await writeFile(path, 'stray');
    await utimes(path, at, at);
  };
  const old = new Date(Date.now() - 3600_000);
  const ancestor = await here.startBackup({ services: ['tree'] });
  await here.client.ended(ancestor);
  // Beyond what counts as just changed.
  await sleep(3_100);
  const dependent = await here.startBackup({ services: ['tree'], type: 'incremental' });
  await here.client.ended(dependent);
  await here.client.must('DELETE', `/api/backups/${ancestor}?force=true&reason=test`);
  // One service is stored, the other waits: the backup is being written.
  const flag = join(here.dir, 'data/go-on');
  const before = { command: ['sh', '-c', `until test -e ${flag}; do sleep 0.1; done`], timeout_seconds: 60 };
  const slow = join(here.dir, 'data/slow');
  await mkdir(slow);
  await here.addService(server, 'slow', [slow], { hooks: { before } });
  const running = await here.startBackup({ services: ['tree', 'slow'] });
  const belowRunning = async () => (await filesBelow(config.path)).filter((path) => path.includes(running));
  await until('an archive', async () => (await belowRunning()).some((path) => path.endsWith('.tar.gz')));
  for (const path of await belowRunning())
    await utimes(join(config.path, path), old, old).catch(() => undefined);

  await put('stray.bin', old);
  await put(`${STRANGER}/manifest.json`, old);
  await put(`${STRANGER}/a/1.tar.gz`, old);
  await put(`${STRANGER}/a/2.tar.gz.0123456789abcdef.part`, old);
  await put('holiday photos/one.jpg', old);
  await put('just-written', new Date(Date.now() + 3600_000));
  const lying = (await filesBelow(config.path)).filter((path) => !path.includes(running));
  const found = await survey(id);
  expect(asPairs(found)).toEqual([
    ['holiday%20photos/', 'foreign_name'],
    [`${STRANGER}/`, 'no_backup'],
    ['stray.bin', 'no_backup'],
  ]);
  expect(found.find(({ prefix }) => prefix === `${STRANGER}/`)).toMatchObject({
    objects: 2,
    unfinished_uploads: 1,
  });
  await writeFile(flag, '');
  await here.client.ended(running);
  expect((await filesBelow(config.path)).filter((path) => !path.includes(running))).toEqual(lying);
  const metrics = await fetch(`${here.client.url}/metrics`);
  if (metrics.ok) expect(await metrics.text()).toContain(`tarfleet_unknown_objects{destination="${id}"} 4`);
}, 180_000);

test('a bucket: the same', async () => {
  const backup = await here.startBackup({ services: ['tree'], destination_id: there });
  expect(await here.client.ended(backup)).toMatchObject({ state: 'completed' });
  for (const name of ['stray.bin', `${STRANGER}/manifest.json`, 'holiday%20photos/one.jpg']) {
    expect((await signedFetch('PUT', `${s3.endpoint}/${bucket}/${name}`, s3)).ok).toBe(true);
  }
  const upload = `${s3.endpoint}/${bucket}/${STRANGER}/a/1.tar.gz?uploads=`;
  expect((await signedFetch('POST', upload, s3)).ok).toBe(true);
  // Longer than what counts as just written.
  await sleep(1_500);
  const before = await s3.everything(bucket);
  expect(before.length).toBeGreaterThan(6);
  const found = await survey(there);
  expect(asPairs(found)).toEqual([
    ['holiday%20photos/', 'foreign_name'],
    [`${STRANGER}/`, 'no_backup'],
    ['stray.bin', 'no_backup'],
  ]);
  expect(found.find(({ prefix }) => prefix === `${STRANGER}/`)).toMatchObject({
    objects: 1,
    unfinished_uploads: 1,
  });
  expect(await s3.everything(bucket)).toEqual(before);
}, 120_000);
