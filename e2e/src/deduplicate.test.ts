// Files that are stored once: what a restore, a verification, a deletion and the recovery script make of them.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFile,
  cp,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import { recover } from './run-recover.ts';
import { BACKENDS, createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const LARGE = 9_000_000;
const run = promisify(execFile);
let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

type Tree = Awaited<ReturnType<typeof snapshotTree>>;

async function open(backend: (typeof BACKENDS)[number] = 'postgres') {
  const here = await createWorld(backend);
  world = here;
  const { client } = here;
  const tree = join(here.dir, 'data/site');
  const put = async (name: string, content: Buffer): Promise<void> => {
    await mkdir(join(tree, name, '..'), { recursive: true });
    await writeFile(join(tree, name), content);
    await utimes(join(tree, name), 1_700_000_000, 1_700_000_000.25);
  };
  const small = randomBytes(20_000);
  const large = randomBytes(LARGE);
  for (let count = 0; count < 30; count += 1) await put(`folder/unique-${count}`, randomBytes(3000));
  for (const name of ['a', 'folder/copy', `folder/${'long-'.repeat(30)}`, 'z']) await put(name, small);
  for (const name of ['large', 'folder/large']) await put(name, large);
  await here.addService(await here.addServer('source'), 'site', [tree]);
  const backUp = async (type: string, more: object = {}) => {
    // Beyond what counts as just changed.
    await sleep(3_100);
    const answer = await client.request('POST', '/api/backups/create', { type, ...more }, WAIT);
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ success: true })]);
    const { data } = await client.must('GET', `/api/backups/${answer.body.data.backup_id}`);
    expect(data.type).toBe(type);
    return { id: data.id as string, details: data, tree: await snapshotTree(tree) };
  };
  const restore = async (id: string, name: string, body: object = {}): Promise<string> => {
    const out = join(here.dir, 'data', name);
    const answer = await client.request(
      'POST',
      `/api/backups/${id}/restore`,
      { restorePath: out, ...body },
      WAIT,
    );
    expect([answer.status, answer.body]).toEqual([200, expect.anything()]);
    return join(out, tree);
  };
  const expectRestores = async (backup: { id: string; tree: Tree }): Promise<void> => {
    const out = await restore(backup.id, `out-${backup.id}`);
    expect(compareTrees(backup.tree, await snapshotTree(out))).toEqual([]);
  };
  const verify = async (id: string, level: 'deep_verification' | 'test_restore'): Promise<void> => {
    const answer = await client.request('POST', `/api/backups/${id}/verify`, { [level]: true }, WAIT);
    expect(answer.body).toMatchObject({ data: { isValid: true } });
  };
  return { ...here, tree, backUp, restore, expectRestores, verify, small, large };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test('equal files are stored once, and come back as files of their own', async () => {
    const { tree, backUp, restore, expectRestores, verify, small, large } = await open(backend);
    const plain = await backUp('full');
    const once = await backUp('full', { deduplicate: true });
    expect([plain.details.deduplicated, once.details.deduplicated]).toEqual([false, true]);
    expect(plain.details.size_bytes - once.details.size_bytes).toBeGreaterThan(LARGE);
    await expectRestores(once);
    for (const level of ['deep_verification', 'test_restore'] as const) await verify(once.id, level);

    const out = await restore(once.id, 'some', {
      paths: [join(tree, 'folder/copy'), join(tree, 'z'), join(tree, 'large')],
    });
    expect((await readdir(out)).sort()).toEqual(['folder', 'large', 'z']);
    expect((await readFile(join(out, 'z'))).equals(small)).toBe(true);
    expect((await readFile(join(out, 'large'))).equals(large)).toBe(true);
    expect((await stat(join(out, 'z'))).ino).not.toBe((await stat(join(out, 'folder/copy'))).ino);
    await appendFile(join(out, 'z'), 'more');
    expect((await readFile(join(out, 'folder/copy'))).equals(small)).toBe(true);
  }, 180_000);
});

test('renamed folders cost nothing, restore after any link of the chain, and hold on to what they need', async () => {
  const { client, tree, backUp, expectRestores, verify } = await open();
  const full = await backUp('full', { deduplicate: true });
  await rename(join(tree, 'folder'), join(tree, 'renamed'));
  const second = await backUp('incremental');
  await rename(join(tree, 'renamed'), join(tree, 'again'));
  await rename(join(tree, 'large'), join(tree, 'again/large-too'));
  const third = await backUp('incremental', { deduplicate: true });
  for (const { details } of [second, third]) {
    expect(details.size_bytes).toBeLessThan(20_000);
    expect(details.warnings).toEqual([]);
  }
  for (const backup of [full, second, third]) await expectRestores(backup);
  await verify(third.id, 'test_restore');

  for (const { id } of [full, second]) {
    const gone = await client.request('DELETE', `/api/backups/${id}?force=true&reason=test`, undefined, WAIT);
    expect(gone.status).toBe(200);
  }
  await expectRestores(third);
  await verify(third.id, 'deep_verification');
}, 180_000);

test('nothing but the files of the destination: the script gives separate files, tar gives links', async () => {
  const { dir, tree, backUp, stack, small } = await open();
  const full = await backUp('full', { deduplicate: true, encrypt: false });
  await rename(join(tree, 'folder'), join(tree, 'renamed'));
  const second = await backUp('incremental', { deduplicate: true, encrypt: false });
  await stack.stop();
  const bucket = join(dir, 'bucket');
  await cp(join(dir, 'stack/backups'), bucket, { recursive: true });
  const all = await readdir(bucket, { recursive: true });
  const folderOf = (id: string): string =>
    join(bucket, all.find((name) => name.includes(id) && name.endsWith('manifest.json')) ?? id, '..');
  const withoutTimes = (entries: Tree): Tree => entries.map((entry) => ({ ...entry, mtimeNs: '' }));
  for (const backup of [full, second]) {
    const target = join(dir, `by-script-${backup.id}`);
    const { code, stderr } = await recover(['extract', folderOf(backup.id), target]);
    expect([code, stderr]).toEqual([0, expect.stringContaining('site of source is in')]);
    const found = await snapshotTree(join(target, 'site', tree));
    expect(compareTrees(withoutTimes(backup.tree), withoutTimes(found))).toEqual([]);

    const tar = join(dir, `${backup.id}.tar`);
    expect((await recover(['extract', folderOf(backup.id), '--tar', tar])).code).toBe(0);
    const out = join(dir, `by-tar-${backup.id}`);
    await mkdir(out);
    await run('tar', ['xpf', tar, '-C', out]);
    expect(compareTrees(backup.tree, await snapshotTree(join(out, tree)))).toEqual([]);

    const { stdout } = await recover(['files', folderOf(backup.id)]);
    expect(stdout).toMatch(/^file .* 20000 .*\/z$/m);
    expect(stdout).not.toMatch(/^hardlink/m);
  }
  const one = join(dir, 'one');
  const { code } = await recover(['extract', folderOf(second.id), one, '--path', join(tree, 'renamed/copy')]);
  expect(code).toBe(0);
  expect((await readFile(join(one, 'site', tree, 'renamed/copy'))).equals(small)).toBe(true);

  const archive = join(bucket, full.details.services[0].file_path);
  const linked = join(dir, 'linked');
  await mkdir(linked);
  await run('tar', ['xzf', archive, '-C', linked]);
  expect((await stat(join(linked, tree, 'z'))).nlink).toBe(4);
  await rm(linked, { recursive: true });

  // Copies are marked in the archive itself, for whoever has no index.
  const path = join(folderOf(full.id), 'manifest.json');
  const manifest = JSON.parse(await readFile(path, 'utf8'));
  const { index: _index, parent: _parent, ancestors: _ancestors, ...artifact } = manifest.artifacts[0];
  await writeFile(path, JSON.stringify({ ...manifest, version: 1, artifacts: [artifact] }));
  const bare = join(dir, 'without-index');
  expect((await recover(['extract', folderOf(full.id), bare])).code).toBe(0);
  const found = await snapshotTree(join(bare, 'site', tree));
  expect(compareTrees(withoutTimes(full.tree), withoutTimes(found))).toEqual([]);
}, 180_000);
