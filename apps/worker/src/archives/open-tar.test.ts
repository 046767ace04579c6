import { execFile, spawn } from 'node:child_process';
import { link, mkdir, mkdtemp, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import type { Keyring } from '@tarfleet/vault';
import { openTestStorage } from '../testing.ts';
import { createTarOpener, type TarOpener } from './open-tar.ts';
import { flipped, keyringOf, read, type TestBackup, takeBackup, watched, write } from './testing-backups.ts';

const run = promisify(execFile);
const { signal } = new AbortController();
const corrupted = expect.objectContaining({ name: 'AppError', code: 'BACKUP_CORRUPTED' });

let t: Awaited<ReturnType<typeof openTestStorage>>;
let deps: { storage: typeof t.storage; keyring: Keyring };
let dir = '';
let root = '';
beforeEach(async () => {
  t = await openTestStorage();
  deps = { storage: t.storage, keyring: keyringOf('old', 'new') };
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-open-tar-'));
  root = join(dir, 'srv');
  await mkdir(join(root, 'sub/deep'), { recursive: true });
  for (const name of ['a', 'sub/b', 'sub/deep/c', 'sub2', 'sub!']) {
    await writeFile(join(root, name), `${name}\n`.repeat(1000));
  }
  await link(join(root, 'a'), join(root, 'sub/also-a'));
  await symlink('../a', join(root, 'sub/to-a'));
});
afterEach(async () => {
  await t.close();
  await rm(dir, { recursive: true, force: true });
});

const opener = (
  { place, dataKey }: TestBackup,
  paths: string[] | null,
  more: Partial<TestBackup['place']> = {},
) => createTarOpener({ ...place, ...more }, { dataKey, paths }, signal);
const inRoot = (...names: string[]): string[] => names.map((name) => join(root, name));

/** The names in its tar, without the root. */
async function names(from: TarOpener): Promise<string[]> {
  const list = spawn('tar', ['-tf', '-'], { stdio: ['pipe', 'pipe', 'inherit'] });
  list.stdin.end(await buffer(await from.open()));
  const all = (await buffer(list.stdout)).toString().split('\n').filter(Boolean);
  return all.map((name) => `/${name}`.replace(/\/$/, '').slice(root.length + 1));
}
const rootsOf = ({ roots }: TarOpener) =>
  roots?.map(({ path, type }) => [path.toString().slice(root.length + 1), type]);

/** Extracts it, and compares it with the tree as it is. */
async function expectSameTree(from: TarOpener, tree = root): Promise<void> {
  const to = await mkdtemp(join(dir, 'to-'));
  const tar = spawn('tar', ['xpf', '-', '-C', to], { stdio: ['pipe', 'ignore', 'inherit'] });
  tar.stdin.end(await buffer(await from.open()));
  await new Promise((resolve) => tar.once('close', resolve));
  const { stdout } = await run('diff', ['-r', '--no-dereference', tree, join(to, root)]);
  expect(stdout).toBe('');
}

const ALL = ['', 'a', 'sub', 'sub/also-a', 'sub/b', 'sub/deep', 'sub/deep/c', 'sub/to-a', 'sub!', 'sub2'];

describe('everything', () => {
  test.each([
    ['plain', undefined],
    ['encrypted', 'new'],
  ])('of a full backup (%s), as often as it is asked for', async (_what, keyName) => {
    const full = await takeBackup(deps, { number: 1, root, ...(keyName ? { keyName } : {}) });
    const all = await opener(full, null);
    expect(rootsOf(all)).toEqual([['', 'directory']]);
    expect(all.extras).toEqual([]);
    expect(await names(all)).toEqual(ALL);
    expect(await names(all)).toEqual(ALL);
    await expectSameTree(all);
  });

  test('of incremental ones: each is the tree as it was', async () => {
    const full = await takeBackup(deps, { number: 1, root, keyName: 'old' });
    await run('cp', ['-a', root, join(dir, 'was-1')]);
    await writeFile(join(root, 'sub/b'), 'changed');
    await rm(join(root, 'sub2'));
    const second = await takeBackup(deps, {
      number: 2,
      root,
      parent: full,
      changed: ['sub/b', ''],
      keyName: 'new',
    });
    await run('cp', ['-a', root, join(dir, 'was-2')]);
    await rename(join(root, 'sub/deep'), join(root, 'moved'));
    const changed = ['', 'sub'];
    const third = await takeBackup(deps, { number: 3, root, parent: second, changed, keyName: 'new' });
    await expectSameTree(await opener(full, null), join(dir, 'was-1'));
    await expectSameTree(await opener(second, null), join(dir, 'was-2'));
    await expectSameTree(await opener(third, null));
    expect(await names(await opener(third, inRoot('moved', 'sub/b')))).toEqual(['moved', 'moved/c', 'sub/b']);
  });
});

describe('some paths', () => {
  let full: TestBackup;
  beforeEach(async () => {
    full = await takeBackup(deps, { number: 1, root, keyName: 'new' });
  });

  test.each<[string[], string[], [string, string][]]>([
    [['sub2'], ['sub2'], [['sub2', 'other']]],
    [['sub/to-a'], ['sub/to-a'], [['sub/to-a', 'symlink']]],
    [['sub/deep'], ['sub/deep', 'sub/deep/c'], [['sub/deep', 'directory']]],
    [
      ['sub2', 'sub/deep/c'],
      ['sub/deep/c', 'sub2'],
      [
        ['sub/deep/c', 'other'],
        ['sub2', 'other'],
      ],
    ],
    [
      ['sub/deep', 'sub/deep/c'],
      ['sub/deep', 'sub/deep/c'],
      [
        ['sub/deep', 'directory'],
        ['sub/deep/c', 'other'],
      ],
    ],
    [['gone', 'sub2'], ['sub2'], [['sub2', 'other']]],
    [['sub2/below-a-file', 'su'], [], []],
  ])('%j', async (paths, found, roots) => {
    const some = await opener(full, inRoot(...paths));
    expect(rootsOf(some)).toEqual(roots);
    expect(some.extras).toEqual([]);
    expect(await names(some)).toEqual(found);
  });

  test('above the roots: everything at or below them', async () => {
    for (const path of ['/', dir, join(dir, '..')]) {
      const some = await opener(full, [path]);
      expect(rootsOf(some)).toEqual([['', 'directory']]);
      expect(some.extras).toEqual([]);
      expect(await names(some)).toEqual(ALL);
    }
    expect(rootsOf(await opener(full, [dir.slice(0, -1), `${root}x`]))).toEqual([]);
    const both = await opener(full, [dir, join(root, 'sub')]);
    expect(rootsOf(both)).toEqual([
      ['sub', 'directory'],
      ['', 'directory'],
    ]);
    expect(await names(both)).toEqual(ALL);
  });

  test('with the file that a wanted name is a link to, as one that is not to be put back', async () => {
    for (const [paths, found] of [
      [['sub/also-a'], ['a', 'sub/also-a']],
      [['sub'], ['a', ...ALL.filter((name) => /^sub($|\/)/.test(name))]],
    ] as const) {
      const some = await opener(full, inRoot(...paths));
      expect(some.extras.map(String)).toEqual(inRoot('a'));
      expect(rootsOf(some)?.map(([path]) => path)).toEqual(paths);
      expect(await names(some)).toEqual(found);
    }
    const both = await opener(full, inRoot('a', 'sub/also-a'));
    expect(both.extras).toEqual([]);
    expect(await names(both)).toEqual(['a', 'sub/also-a']);
  });
});

describe('a backup of the first version, which has no index', () => {
  test('is read from its beginning, whole services only', async () => {
    const full = await takeBackup(deps, { number: 1, root });
    const artifact = { ...full.place.artifact, index: null };
    const all = await opener(full, null, { artifact });
    expect(all).toMatchObject({ roots: null, extras: [] });
    expect(await names(all)).toEqual(ALL);
    await expectSameTree(all);
    await expect(opener(full, inRoot('a'), { artifact })).rejects.toMatchObject({ code: 'NOT_SUPPORTED' });
    const bytes = await read(t.storage, full.archiveKey);
    for (let at = 0; at < bytes.length; at += 101) {
      await write(t.storage, full.archiveKey, flipped(bytes, at));
      await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
      await write(t.storage, full.archiveKey, bytes.subarray(0, at));
      await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
    }
  });
});

describe('what is missing or damaged', () => {
  let full: TestBackup;
  let second: TestBackup;
  beforeEach(async () => {
    full = await takeBackup(deps, { number: 1, root, keyName: 'old' });
    const changed = ['sub2'];
    second = await takeBackup(deps, { number: 2, root, parent: full, changed, keyName: 'new' });
  });

  test("an ancestor's key: told before anything of an archive is read", async () => {
    const { storage, streams, closed } = watched(t.storage);
    for (const paths of [null, inRoot('a'), inRoot('sub2')]) {
      await expect(opener(second, paths, { storage, keyring: keyringOf('new') })).rejects.toMatchObject({
        code: 'ENCRYPTION_KEY_NOT_FOUND',
        details: { keys: ['old'] },
      });
    }
    expect(streams.some(({ key }) => key === full.archiveKey || key === second.archiveKey)).toBe(false);
    expect(await closed(second.indexKey)).toBe(3);
  });

  test.each(['own', 'ancestor'])(
    'any flipped byte of the archive, and one that is cut or gone (%s)',
    async (whose) => {
      const key = whose === 'own' ? second.archiveKey : full.archiveKey;
      const bytes = await read(t.storage, key);
      const all = await opener(second, null);
      for (let at = 0; at < bytes.length; at += 101) {
        await write(t.storage, key, flipped(bytes, at));
        await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
      }
      for (const length of [0, 1, bytes.length - 1]) {
        await write(t.storage, key, bytes.subarray(0, length));
        await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
      }
      await write(t.storage, key, Buffer.concat([bytes, Buffer.alloc(1)]));
      await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
      await t.storage.delete(key, signal);
      await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
    },
  );

  test('any flipped byte of the index, whether it is met at first or later', async () => {
    const bytes = await read(t.storage, second.indexKey);
    const all = await opener(second, null);
    for (let at = 0; at < bytes.length; at += 23) {
      await write(t.storage, second.indexKey, flipped(bytes, at));
      await expect(opener(second, inRoot('sub'))).rejects.toEqual(corrupted);
      await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
    }
  });

  test('the archive of another backup in the place of its own', async () => {
    const third = await takeBackup(deps, { number: 3, root, keyName: 'old' });
    const all = await opener(second, null);
    await write(t.storage, full.archiveKey, await read(t.storage, third.archiveKey));
    await expect(all.open().then(buffer)).rejects.toEqual(corrupted);
  });
});

test('a look at the index alone, and a tar that is left, leave nothing open', async () => {
  const full = await takeBackup(deps, { number: 1, root });
  const held = watched(t.storage, full.indexKey);
  await opener(full, null, { storage: held.storage });
  expect(await held.closed(full.indexKey)).toBe(1);

  const { storage, closed } = watched(t.storage);
  const all = await opener(full, null, { storage });
  (await all.open()).destroy();
  for await (const _ of await all.open()) break;
  expect(await closed(full.indexKey)).toBe(3);
  const stop = new AbortController();
  const place = { ...full.place, storage };
  const aborted = await createTarOpener(place, { dataKey: null, paths: null }, stop.signal);
  const tar = await aborted.open();
  stop.abort(new Error('stop'));
  await expect(buffer(tar)).rejects.toThrow('stop');
  expect(await closed(full.indexKey)).toBe(5);
});
