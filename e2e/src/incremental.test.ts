// Backups that build on each other, over HTTP alone: what they hold, what they need, and what deleting one means.
import { execFile } from 'node:child_process';
import { appendFile, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, describe, expect, jest, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import { BACKENDS, createWorld, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
/** Each backup waits until nothing counts as just changed; five of them and their restores are most of a minute. */
jest.setTimeout(240_000);
let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

async function open(backend: (typeof BACKENDS)[number] = 'postgres') {
  const here = await createWorld(backend);
  world = here;
  const { client } = here;
  const tree = join(here.dir, 'data/site');
  await makeNastyTree(tree);
  const serviceId = await here.addService(await here.addServer('source'), 'site', [tree]);
  const backUp = async (type: string, more: object = {}) => {
    // Beyond what counts as just changed.
    await sleep(3_100);
    const answer = await client.request('POST', '/api/backups/create', { type, ...more }, WAIT);
    expect([answer.status, answer.body]).toEqual([200, expect.objectContaining({ success: true })]);
    const { data } = await client.must('GET', `/api/backups/${answer.body.data.backup_id}`);
    return {
      id: data.id as string,
      details: data,
      warnings: data.warnings as string[],
      tree: await snapshotTree(tree),
    };
  };
  const restore = (id: string, body: object = {}) =>
    client.request('POST', `/api/backups/${id}/restore`, { overwrite: true, ...body }, WAIT);
  /** Into a folder of its own: exactly the tree as it was. */
  const expectRestores = async (backup: { id: string; tree: Awaited<ReturnType<typeof snapshotTree>> }) => {
    const out = join(here.dir, `data/out-${backup.id}`);
    expect((await restore(backup.id, { restorePath: out })).status).toBe(200);
    expect(compareTrees(backup.tree, await snapshotTree(join(out, tree)))).toEqual([]);
    await rm(out, { recursive: true });
  };
  const stored = join(here.dir, 'stack/backups');
  // Not by readdir: a deletion may be removing the folders that it emptied.
  const objectsOf = async (id: string): Promise<string[]> => {
    const { stdout } = await promisify(execFile)('find', [stored, '-ignore_readdir_race', '-type', 'f']);
    return stdout.split('\n').filter((name) => name.includes(id) && /\.(enc|gz|json)$/.test(name));
  };
  return { ...here, tree, serviceId, backUp, restore, expectRestores, stored, objectsOf };
}

describe.each(BACKENDS)('on %s', (backend) => {
  test('each of a chain restores the tree as it was, and differential ones hang on the full one alone', async () => {
    const { client, tree, backUp, expectRestores, restore } = await open(backend);
    const first = await backUp('incremental');
    expect(first.details.type).toBe('full');
    expect(first.warnings.join()).toMatch(/site: everything is read/);

    await appendFile(join(tree, 'hard-1'), 'more');
    await rm(join(tree, 'with space'));
    await mkdir(join(tree, 'with space'));
    await writeFile(join(tree, 'with space/inner'), 'inner');
    const second = await backUp('incremental');
    expect(second.details).toMatchObject({ type: 'incremental', warnings: [] });
    expect(first.details.services[0].parent_id).toBeNull();
    expect(second.details.services[0].parent_id).toEqual(expect.any(String));
    expect(second.details.size_bytes).toBeLessThan(first.details.size_bytes);

    await rename(join(tree, 'with space'), join(tree, 'renamed'));
    const third = await backUp('incremental');
    await writeFile(join(tree, 'fresh'), 'fresh');
    const fourth = await backUp('differential');
    expect(fourth.details.type).toBe('differential');
    const idle = await backUp('incremental');
    for (const backup of [first, second, third, fourth, idle]) await expectRestores(backup);
    const verified = await client.request('POST', `/api/backups/${idle.id}/verify`, undefined, WAIT);
    expect(verified.body).toMatchObject({ data: { isValid: true } });

    // One path out of the middle of the chain, to where it was.
    await writeFile(join(tree, 'renamed/inner'), 'spoiled');
    await writeFile(join(tree, 'fresh'), 'spoiled');
    const one = await restore(fourth.id, { paths: [join(tree, 'renamed/inner')] });
    expect(one.body).toMatchObject({ data: { filesRestored: 1 } });
    expect(await readFile(join(tree, 'renamed/inner'), 'utf8')).toBe('inner');
    expect(await readFile(join(tree, 'fresh'), 'utf8')).toBe('spoiled');
    const none = await restore(first.id, { paths: [join(tree, 'fresh')] });
    expect(none.body).toMatchObject({ code: 'RESTORE_FAILED', details: { code: 'PATH_NOT_FOUND' } });
  });
});

test('a name of a content with several comes alone, with its content', async () => {
  const { tree, backUp, restore } = await open();
  const backup = await backUp('full');
  const content = await readFile(join(tree, 'hard-2'));
  await rm(join(tree, 'hard-2'));
  await writeFile(join(tree, 'hard-1'), 'another one now');
  expect((await restore(backup.id, { paths: [join(tree, 'hard-2')] })).status).toBe(200);
  expect((await readFile(join(tree, 'hard-2'))).equals(content)).toBe(true);
  expect(await readFile(join(tree, 'hard-1'), 'utf8')).toBe('another one now');

  // A folder above what was backed up, and the root of all, bring everything that the backup holds below them.
  const { filesRestored } = (await restore(backup.id, {})).body.data;
  for (const path of [join(tree, '..'), '/']) {
    await rm(tree, { recursive: true });
    expect((await restore(backup.id, { paths: [path] })).body).toMatchObject({ data: { filesRestored } });
    expect((await readFile(join(tree, 'hard-1'))).equals(content)).toBe(true);
  }
  const beside = await restore(backup.id, { paths: [`${tree}-not`] });
  expect(beside.body).toMatchObject({ code: 'RESTORE_FAILED', details: { code: 'PATH_NOT_FOUND' } });
});

test('a deleted full one stays for those that need it, and goes with the last of them', async () => {
  const { client, tree, backUp, expectRestores, objectsOf } = await open();
  const first = await backUp('full');
  await writeFile(join(tree, 'fresh'), 'fresh');
  const second = await backUp('incremental');
  const before = await objectsOf(first.id);
  expect(before.length).toBeGreaterThan(2);

  const gone = await client.request(
    'DELETE',
    `/api/backups/${first.id}?force=true&reason=test`,
    undefined,
    WAIT,
  );
  expect([gone.status, gone.body]).toEqual([200, expect.anything()]);
  expect(gone.body).toMatchObject({ data: { job_id: null, space_freed_bytes: 0 } });
  expect((await client.request('GET', `/api/backups/${first.id}`)).status).toBe(404);
  expect((await client.request('DELETE', `/api/backups/${first.id}?force=true&reason=test`)).status).toBe(
    404,
  );
  const { data: list } = await client.must('GET', '/api/backups/list');
  expect(list.backups.map(({ id }: { id: string }) => id)).toEqual([second.id]);
  expect(await objectsOf(first.id)).toEqual(before);
  await expectRestores(second);

  // A new one hangs on what is hidden, through its parent.
  await writeFile(join(tree, 'later'), 'later');
  const third = await backUp('incremental');
  expect(third.details.type).toBe('incremental');
  await client.must('DELETE', `/api/backups/${second.id}?force=true&reason=test`, undefined, WAIT);
  expect(await objectsOf(first.id)).toEqual(before);
  await expectRestores(third);
  await client.must('DELETE', `/api/backups/${third.id}?force=true&reason=test`, undefined, WAIT);
  for (const { id } of [first, second, third]) {
    for (let turn = 0; turn < 200 && (await objectsOf(id)).length > 0; turn += 1) await sleep(100);
    expect(await objectsOf(id)).toEqual([]);
  }
});

test('a damaged ancestor: the restore says so and changes nothing, and the next backup is a full one', async () => {
  const { client, tree, backUp, restore, expectRestores, stored } = await open();
  const first = await backUp('full');
  await writeFile(join(tree, 'fresh'), 'fresh');
  const second = await backUp('incremental');
  const archive = join(stored, first.details.services[0].file_path);
  const bytes = await readFile(archive);
  const middle = Math.floor(bytes.length / 2);
  bytes[middle] = (bytes[middle] ?? 0) ^ 1;
  await writeFile(archive, bytes);
  const before = await snapshotTree(tree);
  const refused = await restore(second.id);
  expect(refused.body).toMatchObject({ code: 'RESTORE_FAILED', message: expect.stringMatching(/damaged/) });
  // Nobody builds on either of them from now on.
  for (const { id } of [first, second]) {
    const { data } = await client.must('GET', `/api/backups/${id}`);
    expect(data.verified).toBe(false);
  }
  expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
  const third = await backUp('incremental');
  expect(third.details).toMatchObject({ type: 'full', file_warnings: [] });
  await expectRestores(third);

  await rm(join(stored, third.details.services[0].file_path.replace('.tar.gz', '.index.gz')));
  const fourth = await backUp('incremental');
  expect(fourth.details).toMatchObject({ type: 'full' });
  expect(fourth.details.file_warnings).toMatchObject([{ code: 'PARENT_UNUSABLE' }]);
  await expectRestores(fourth);
});

test('a missing key shows before anything starts', async () => {
  const { stored, tree, backUp, restore } = await open();
  const first = await backUp('full');
  await writeFile(join(tree, 'fresh'), 'fresh');
  const second = await backUp('incremental');
  const archive = join(stored, first.details.services[0].file_path);
  const folder = join(archive, '..');
  for (const name of await readdir(folder)) {
    // As if it had been wrapped with a key that nobody here has.
    const [, before] = /^(.*\.key\.).*\.json$/.exec(name) ?? [];
    if (before) await rename(join(folder, name), join(folder, `${before}other.json`));
  }
  const before = await snapshotTree(tree);
  const refused = await restore(second.id);
  expect(refused.body).toMatchObject({ details: { code: 'ENCRYPTION_KEY_NOT_FOUND' } });
  expect(refused.body.message).toContain('other');
  expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
});
