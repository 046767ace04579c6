// Each error code that document 2 names, as its clients meet it: asked for over HTTP, on the whole system.
import { randomBytes } from 'node:crypto';
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type FaultProxy, startFaultProxy, testS3 } from '@tarfleet/testbed';
import { filesBelow } from './files-below.ts';
import { mountSmall } from './mount-small.ts';
import { expectError } from './testing-expect-error.ts';
import { createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const UNKNOWN = '019b0000-0000-7000-8000-000000000000';

let here: World;
let server: string;
let tree: string;
let backup: string;
beforeAll(async () => {
  here = await createWorld('postgres');
  server = await here.addServer('box');
  tree = join(here.dir, 'data/tree');
  await mkdir(tree);
  await writeFile(join(tree, 'random'), randomBytes(2 << 20));
  await here.addService(server, 'tree', [tree]);
  backup = await here.startBackup({ services: ['tree'] });
  expect(await here.client.ended(backup)).toMatchObject({ state: 'completed' });
}, 180_000);
afterAll(() => here?.close(), 60_000);

const ask = (method: string, path: string, body?: object, headers = {}) =>
  here.client.request(method, path, body, headers);
const create = (body: object, headers = {}) =>
  ask('POST', '/api/backups/create', { type: 'full', encrypt: false, ...body }, headers);
const failureOf = async (id: string) => (await here.client.ended(id)).failure;

test('BACKUP_NOT_FOUND', async () => {
  expectError(await ask('GET', `/api/backups/${UNKNOWN}`), 404, 'BACKUP_NOT_FOUND', UNKNOWN);
});

test('INVALID_BACKUP_TYPE', async () => {
  expectError(await create({ type: 'half' }), 400, 'INVALID_BACKUP_TYPE', 'half');
});

test('COMPONENT_NOT_FOUND', async () => {
  expectError(await create({ components: ['cache'] }), 404, 'COMPONENT_NOT_FOUND', 'cache');
  const restore = await ask('POST', '/api/backups/restore', { backup_id: backup, components: ['cache'] });
  expectError(restore, 404, 'COMPONENT_NOT_FOUND', 'It holds: files');
});

test('RETENTION_POLICY_VIOLATION', async () => {
  expectError(await ask('DELETE', `/api/backups/${backup}`), 409, 'RETENTION_POLICY_VIOLATION', 'force=true');
});

test('ENCRYPTION_KEY_NOT_FOUND', async () => {
  const answer = await create({ encrypt: true }).then(async ({ body }) => {
    await here.client.ended(body.data.backup_id);
    return ask('POST', `/api/backups/${body.data.backup_id}/rewrap`, { key_name: 'nobody-has-it' });
  });
  expectError(answer, 422, 'ENCRYPTION_KEY_NOT_FOUND', 'nobody-has-it');
});

test('BACKUP_IN_PROGRESS and RESTORE_IN_PROGRESS', async () => {
  const flag = join(here.dir, 'data/go-on');
  const until = { command: ['sh', '-c', `until test -e ${flag}; do sleep 0.1; done`], timeout_seconds: 60 };
  const slow = join(here.dir, 'data/slow');
  await mkdir(slow);
  const up = join(here.dir, 'data/up');
  await here.addService(server, 'slow', [slow], {
    ...{ type: 'command', hooks: { before: until } },
    stop: { command: ['sh', '-c', `${until.command[2]}; rm ${up}`] },
    ...{ start: { command: ['touch', up] }, status: { command: ['test', '-e', up] } },
  });
  const id: string = (await create({ services: ['slow'] })).body.data.backup_id;
  const refused = await create({ services: ['slow'] });
  expectError(refused, 409, 'BACKUP_IN_PROGRESS', id);
  expect(refused.headers.get('retry-after')).toBe('30');
  await writeFile(flag, '');
  expect(await here.client.ended(id)).toMatchObject({ state: 'completed' });
  await rm(flag);
  await writeFile(up, '');
  const restore = await ask('POST', `/api/backups/${id}/restore`, {});
  const { restoreJobId } = restore.body.data;
  expectError(await create({ services: ['slow'] }), 409, 'RESTORE_IN_PROGRESS', restoreJobId);
  await writeFile(flag, '');
  expect(await here.client.ended(restoreJobId)).toMatchObject({ state: 'completed' });
}, 120_000);

test('INSUFFICIENT_STORAGE', async () => {
  const path = join(here.dir, 'data/small');
  const disk = await mountSmall(path);
  try {
    await writeFile(join(path, 'full'), randomBytes(7 << 20));
    const answer = await ask('POST', `/api/backups/${backup}/restore`, { restorePath: path }, WAIT);
    expect(answer.body).toMatchObject({ code: 'RESTORE_FAILED', details: { code: 'INSUFFICIENT_STORAGE' } });
    expect(await failureOf(answer.body.details.restoreJobId)).toMatchObject({ code: 'INSUFFICIENT_STORAGE' });
    expect(await readdir(path)).toEqual(['full']);
  } finally {
    await disk.unmount();
  }
}, 120_000);

test('BACKUP_VERIFICATION_FAILED', async () => {
  const s3 = await testS3();
  const bucket = `codes-${randomBytes(6).toString('hex')}`;
  await s3.createBucket(bucket);
  const proxy: FaultProxy = await startFaultProxy(s3.endpoint);
  try {
    const { region, accessKeyId: access_key_id, secretAccessKey: secret_access_key } = s3;
    const config = { bucket, region, endpoint: proxy.url, force_path_style: true };
    const { data } = await here.client.must('POST', '/api/destinations', {
      ...{ name: 'lies', type: 's3', config: { ...config, access_key_id, secret_access_key } },
    });
    proxy.decide = ({ method, url }) =>
      method === 'GET' && url.includes('.tar.gz') ? { corruptAnswerAt: 100_000 } : 'pass';
    const answer = await create({ services: ['tree'], destination_id: data.id, verify: true }, WAIT);
    expectError(answer, 422, 'BACKUP_VERIFICATION_FAILED', /tree/);
  } finally {
    await proxy.stop();
    await s3.stop();
  }
}, 120_000);

test('BACKUP_CORRUPTED', async () => {
  const { data } = await here.client.must('GET', `/api/backups/${backup}`);
  const folder = new URL(data.location).pathname;
  const [archive = ''] = (await filesBelow(folder)).filter((name) => name.endsWith('.tar.gz'));
  const bytes = await readFile(join(folder, archive));
  bytes.writeUInt8((bytes[1_000_000] ?? 0) ^ 1, 1_000_000);
  await writeFile(join(folder, archive), bytes);
  const before = await readFile(join(tree, 'random'));
  const answer = await ask('POST', `/api/backups/${backup}/restore`, {}, WAIT);
  expect(answer.body).toMatchObject({ code: 'RESTORE_FAILED', details: { code: 'BACKUP_CORRUPTED' } });
  expect(await failureOf(answer.body.details.restoreJobId)).toMatchObject({ code: 'BACKUP_CORRUPTED' });
  expect(before.equals(await readFile(join(tree, 'random')))).toBe(true);
}, 120_000);
