// Copies of a backup at further destinations, a folder and S3, on the whole system: one fails, is tried again, and serves.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import {
  compareTrees,
  type FaultProxy,
  type RunningS3,
  snapshotTree,
  startFaultProxy,
  testS3,
} from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { recover } from './run-recover.ts';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

const run = promisify(execFile);
const WAIT = { prefer: 'wait=60' };
let world: World;
let s3: RunningS3;
let proxy: FaultProxy;
let tree: string;
let folder: string;
const bucket = `copies-${randomBytes(6).toString('hex')}`;
beforeAll(async () => {
  s3 = await testS3();
  await s3.createBucket(bucket);
  proxy = await startFaultProxy(s3.endpoint);
  world = await createWorld('postgres', { apiEnv: { SURVEY_EVERY_MS: '0' } });
  tree = join(world.dir, 'data/tree');
  folder = join(world.dir, 'elsewhere');
  await mkdir(tree);
  // More than one part of an upload.
  for (const name of ['one', 'two']) await writeFile(join(tree, name), randomBytes(9 << 20));
  await world.addService(await world.addServer('box'), 'tree', [tree]);
}, 120_000);
afterAll(async () => {
  await world?.close();
  await proxy?.stop();
  await s3?.stop();
}, 60_000);

const details = async (id: string) => (await world.client.must('GET', `/api/backups/${id}`)).data;
/** Its copies by their destinations' names, once none of them is on its way. */
const settled = (id: string) =>
  until(`copies of ${id}`, async () => {
    const { status, error, copies } = await details(id);
    const states = Object.fromEntries(
      copies.map((copy: { destination_name: string; status: string }) => [
        copy.destination_name,
        copy.status,
      ]),
    );
    return (
      !/pending|copying/.test(JSON.stringify(states)) && { status, code: error?.code ?? null, ...states }
    );
  });
const completed = async (method: string, path: string, body?: unknown) => {
  const answer = await world.client.request(method, path, body, WAIT);
  expect([path, answer.status, answer.body]).toEqual([path, 200, expect.anything()]);
  return answer.body.data;
};
const inSeconds = (entries: Awaited<ReturnType<typeof snapshotTree>>) =>
  entries.map((entry) => ({ ...entry, mtimeNs: String(BigInt(entry.mtimeNs) / 1_000_000_000n) }));

test('a copy that fails makes the backup partial until it is tried again, and copies serve when the rest is lost', async () => {
  const { client } = world;
  const config = { bucket, region: s3.region, endpoint: proxy.url };
  const keys = { access_key_id: s3.accessKeyId, secret_access_key: s3.secretAccessKey };
  const add = async (name: string, type: string, own: object) =>
    (await client.must('POST', '/api/destinations', { name, type, config: own })).data.id as string;
  const near = await add('near', 'local', { path: folder });
  const far = await add('far', 's3', { ...config, ...keys });

  proxy.decide = ({ method }) => (method === 'GET' ? 'pass' : { status: 403, code: 'AccessDenied' });
  const full = await world.startBackup({ encrypt: true, copy_to: [near, far] });
  expect(await client.ended(full)).toMatchObject({ state: 'completed' });
  expect(await settled(full)).toEqual({
    ...{ status: 'partial', code: 'COPY_FAILED', near: 'completed', far: 'failed' },
  });
  expect((await details(full)).error.message).toContain('The copy to far failed');
  expect(await s3.everything(bucket)).toEqual([]);

  proxy.decide = () => 'pass';
  const again = await completed('POST', `/api/backups/${full}/copies`, { destination_id: far });
  expect(again).toMatchObject({ backup_status: 'completed', copy: { status: 'completed', error: null } });
  const before = await snapshotTree(tree);

  await sleep(3_100);
  await writeFile(join(tree, 'three'), 'a change');
  const later = await world.startBackup({ encrypt: true, type: 'incremental', copy_to: [near, far] });
  expect(await settled(later)).toEqual({
    ...{ status: 'completed', code: null, near: 'completed', far: 'completed' },
  });
  expect(await details(later)).toMatchObject({ type: 'incremental' });
  const after = await snapshotTree(tree);
  const main = join(world.dir, 'stack/backups');
  const copied = await filesBelow(main);
  expect(await filesBelow(folder)).toEqual(copied);
  expect(await s3.everything(bucket)).toEqual(copied);

  // The script knows nothing of copies: each is a whole backup.
  const recovered = join(world.dir, 'recovered');
  const manifest = copied.find((name) => name.endsWith(`${full}/manifest.json`)) ?? '';
  const keyring = ['--keyring', join(world.dir, 'stack/keys/keyring.json')];
  const told = await recover(['extract', join(folder, manifest, '..'), recovered, ...keyring]);
  expect(told).toMatchObject({ code: 0 });
  expect(
    compareTrees(inSeconds(before), inSeconds(await snapshotTree(join(recovered, 'tree', tree)))),
  ).toEqual([]);

  for (const name of await readdir(main)) await rm(join(main, name), { recursive: true });
  await rm(tree, { recursive: true });
  const lost = await client.request('POST', `/api/backups/${later}/restore`, {}, WAIT);
  expect(lost.status).toBe(500);
  await completed('POST', `/api/backups/${later}/restore`, { destination_id: near });
  expect(compareTrees(after, await snapshotTree(tree))).toEqual([]);
  const checked = await completed('POST', `/api/backups/verify/${later}`, {
    ...{ deep_verification: true, destination_id: far },
  });
  expect(checked).toMatchObject({ verification_status: 'passed', issues: [] });
  const file = join(world.dir, 'whole.tar');
  const url = `${client.url}/api/backups/${later}/download?format=tar&destination_id=${far}`;
  // Not in this thread: S3 is behind a proxy of this process.
  await run('curl', ['-sSf', '-o', file, '-H', `Authorization: Bearer ${client.token}`, url]);
  expect((await run('tar', ['tf', file])).stdout).toContain(`${later}/manifest.json`);

  expect((await client.request('DELETE', `/api/destinations/${near}`)).body).toMatchObject({
    code: 'DESTINATION_IN_USE',
  });
  for (const id of [full, later]) {
    await client.must('DELETE', `/api/backups/${id}?force=true&reason=test`, undefined, WAIT);
  }
  const empty = async () => (await filesBelow(folder)).length + (await s3.everything(bucket)).length === 0;
  await until('the copies are gone', empty);
  await until('nothing is kept there', async () => {
    return (await client.request('DELETE', `/api/destinations/${near}`)).status === 200;
  });
}, 120_000);
