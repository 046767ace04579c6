// Document 4's requests as it writes them (ids aside), by curl, on the whole system: a database and files, encrypted.
import { execFileSync } from 'node:child_process';
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import { recover } from './run-recover.ts';
import { createWorld, type World } from './world.ts';

let world: World;
let tree: string;
beforeAll(async () => {
  world = await createWorld('redis');
  tree = join(world.dir, 'data/till');
  await makeNastyTree(tree);
  await mkdir(join(world.dir, 'data/ledger'));
  await writeFile(join(world.dir, 'data/ledger/sales.db'), 'sold');
  await mkdir(join(world.dir, 'data/etc'));
  await writeFile(join(world.dir, 'data/etc/till.conf'), 'currency=EUR');
  const server = await world.addServer('till');
  await world.addService(server, 'till', [tree]);
  await world.addService(server, 'ledger', [join(world.dir, 'data/ledger')], { component: 'database' });
  await world.addService(server, 'settings', [join(world.dir, 'data/etc')], { component: 'configurations' });
}, 60_000);
afterAll(() => world?.close(), 60_000);

const CREATED = expect.objectContaining({
  ...{ id: expect.any(String), name: expect.any(String), type: expect.any(String), encrypted: true },
  ...{ size: expect.any(Number), createdAt: expect.any(String), components: expect.any(Number) },
});

/** As the document's examples send it, with a session's token; with `wait` the final answer, where that comes in time. */
function curl(method: string, path: string, body?: string, wait = true) {
  const words = [
    '-sS',
    '-X',
    method,
    `${world.stack.url}${path}`,
    '-H',
    `Authorization: Bearer ${world.client.token}`,
  ];
  if (wait) words.push('-H', 'Prefer: wait=60');
  if (body !== undefined) words.push('-H', 'Content-Type: application/json', '-d', body);
  return JSON.parse(execFileSync('curl', words, { encoding: 'utf8' }));
}

test('every request of the document, as it is written', async () => {
  const before = await snapshotTree(tree);
  const full = curl(
    'POST',
    '/api/backup/create',
    '{"type": "full","encrypt": true,"compress": true,"retentionDays": 30}',
  );
  expect(full).toMatchObject({ success: true, backup: CREATED });
  await world.client.ended(full.backup.id);
  expect(full.backup).toMatchObject({ type: 'full', components: 3 });
  const partial = curl(
    'POST',
    '/api/backup/create',
    '{"type": "partial","components": ["database", "config"],"encrypt": true,"name": "Database and Config Backup"}',
  );
  expect(partial.backup).toMatchObject({
    name: 'Database and Config Backup',
    type: 'partial',
    components: 2,
  });
  await world.client.ended(partial.backup.id);
  const reference = curl(
    'POST',
    '/api/backup/create',
    '{"type":"full","components":["database"],"encrypt":true,"compress":true,"retentionDays":30,"name":"My Backup"}',
    false,
  );
  expect(reference).toMatchObject({
    success: true,
    backup: { name: 'My Backup', status: 'running', checksum: null },
  });
  await world.client.ended(reference.backup.id);

  const list = curl('GET', '/api/backup/list?page=1&limit=10&status=completed&type=full');
  expect(list.backups.map((one: { id: string }) => one.id)).toEqual([reference.backup.id, full.backup.id]);
  expect(list.pagination).toEqual({
    page: 1,
    limit: 10,
    total: 2,
    totalPages: 1,
    hasNext: false,
    hasPrev: false,
  });
  expect(list.summary).toMatchObject({ total: 3, completed: 3, failed: 0, running: 0 });
  const { backup } = curl('GET', `/api/backup/${full.backup.id}`);
  expect(backup).toMatchObject({ retentionDays: 30, verified: true, encrypted: true });
  expect(backup.checksum).toMatch(/^sha256:[0-9a-f]{64}$/);

  const valid = curl('POST', '/api/restore/create', `{"backupId": "${full.backup.id}","validateOnly": true}`);
  await world.client.ended(valid.restore.id);

  const conf = join(world.dir, 'data/etc/till.conf');
  await writeFile(conf, 'currency=XXX');
  await rm(join(world.dir, 'data/ledger/sales.db'));
  await rm(join(tree, 'with space'));
  const ledger = curl(
    'POST',
    '/api/restore/create',
    `{"backupId": "${full.backup.id}","components": ["database"],"overwrite": false}`,
  );
  expect(ledger.restore).toMatchObject({ validated: true, components: ['database'] });
  await world.client.ended(ledger.restore.id);
  expect(await readFile(join(world.dir, 'data/ledger/sales.db'), 'utf8')).toBe('sold');
  const both = curl(
    'POST',
    '/api/restore/create',
    `{"backupId":"${full.backup.id}","components":["database","config"],"overwrite":false,"validateOnly":false}`,
  );
  expect(both).toMatchObject({ success: true, restore: { components: ['configurations', 'database'] } });
  await world.client.ended(both.restore.id);
  expect(await readFile(conf, 'utf8')).toBe('currency=XXX');
  const all = curl('POST', '/api/restore/create', `{"backupId":"${full.backup.id}","overwrite":true}`);
  await world.client.ended(all.restore.id);
  expect(await readFile(conf, 'utf8')).toBe('currency=EUR');
  expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);

  const restores = curl('GET', '/api/restore/list?page=1&limit=10&status=completed');
  expect(restores.restores).toHaveLength(3);
  expect(restores.summary).toEqual({
    total: 4,
    completed: 3,
    failed: 0,
    running: 0,
    rolledBack: 0,
    validated: 4,
  });

  const gone = curl('DELETE', `/api/backup/${partial.backup.id}`);
  expect(gone).toMatchObject({ success: true, backup: { id: partial.backup.id } });
  await world.client.ended(gone.backup.jobId);
  expect(curl('GET', `/api/backup/${partial.backup.id}`)).toMatchObject({
    success: false,
    error: 'Not Found',
  });
}, 120_000);

test('what is downloaded is unpacked by tar alone; encrypted, by the script for recovery', async () => {
  const before = await snapshotTree(tree);
  const download = async (id: string, query = '') => {
    const into = join(world.dir, `${id}.download`);
    const url = `${world.stack.url}/api/backup/${id}/download${query}`;
    const auth = `Authorization: Bearer ${world.client.token}`;
    execFileSync('curl', ['-sSf', '-o', into, '-H', auth, url]);
    return into;
  };
  const plain = curl(
    'POST',
    '/api/backup/create',
    '{"type":"partial","components":["files"],"encrypt":false,"compress":false}',
  );
  await world.client.ended(plain.backup.id);
  const unpacked = join(world.dir, 'unpacked');
  await mkdir(unpacked);
  const archive = await download(plain.backup.id);
  execFileSync('tar', ['xzpf', archive, '--xattrs', '--xattrs-include=*', '--acls', '-C', unpacked]);
  expect(compareTrees(before, await snapshotTree(join(unpacked, tree)))).toEqual([]);

  const sealed = curl('POST', '/api/backup/create', '{"type":"full"}');
  await world.client.ended(sealed.backup.id);
  const bucket = join(world.dir, 'bucket');
  await mkdir(bucket);
  execFileSync('tar', ['xf', await download(sealed.backup.id), '-C', bucket]);
  const { data } = await world.client.must('GET', `/api/backups/${sealed.backup.id}`);
  const folder = join(bucket, data.services[0].file_path, '../..');
  const keyring = join(world.dir, 'stack/keys/keyring.json');
  const recovered = join(world.dir, 'recovered');
  // What is no file (devices, FIFOs) it leaves out, and says so with another code.
  const { stderr } = await recover(['extract', folder, recovered, '--keyring', keyring]);
  expect(stderr).toContain('ledger of till is in');
  expect(await readFile(join(recovered, 'ledger', world.dir, 'data/ledger/sales.db'), 'utf8')).toBe('sold');
}, 120_000);
