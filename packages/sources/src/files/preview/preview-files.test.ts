// What a preview says is what a restore then does.
import { createReadStream } from 'node:fs';
import { chmod, lutimes, mkdir, rename, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { decodeRootList, openIndex } from '@tarfleet/archive';
import type { PreviewChanges, ServiceTarget } from '@tarfleet/contracts';
import { makeNastyTree, type RunningSshd, snapshotTree, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { PreviewOptions, SourceWarning } from '../../types.ts';
import { createChain } from '../capture/testing-chain.ts';
import { stepsOver } from '../restore/steps/testing-steps.ts';
import { type Bench, createBench, makeFiles } from '../restore/testing-bench.ts';
import { calm, createTestUser, localSession, service, sshSession } from '../testing-sessions.ts';
import { previewFiles } from './preview-files.ts';

let bench: Bench;
let tree: string;
let sshd: RunningSshd;
let session: Session;
let warnings: SourceWarning[];
beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'tree');
  session = await sshSession(sshd);
  warnings = [];
});
afterEach(async () => {
  await session.close();
  await bench.close();
});

/** Backs a service up; what is given looks what a restore of that would change. */
async function backUp(what: ServiceTarget) {
  const local = await localSession();
  try {
    await bench.backUp(what);
    const link = await createChain(bench.dir).take(local, what, null);
    return async (more: Partial<PreviewOptions> = {}, from = session): Promise<PreviewChanges> => {
      const { header, entries } = await openIndex(createReadStream(link.index));
      return previewFiles(
        { tmpDir: bench.dir },
        {
          ...{ session: from, signal: calm(), service: what, entries },
          ...{ roots: decodeRootList(Buffer.from(header.roots)) ?? [], restorePath: null },
          ...{ overwrite: true, keep: [], warn: (warning: SourceWarning) => void warnings.push(warning) },
          ...more,
        },
      );
    };
  } finally {
    await local.close();
  }
}

const brief = (changes: PreviewChanges, below = tree) =>
  Object.fromEntries(
    Object.entries(changes).map(([name, { examples }]) => [
      name,
      examples.map((path) => path.slice(below.length + 1) || '.').sort(),
    ]),
  );
const pathsOf = async (dir: string): Promise<string[]> => (await snapshotTree(dir)).map(({ path }) => path);

test('nothing has changed, whatever lies there', async () => {
  await makeNastyTree(join(tree, 'nasty'));
  const preview = await backUp(service([tree]));
  const before = await snapshotTree(bench.dir);
  const changes = await preview();
  const entries = (await pathsOf(tree)).length;
  expect(changes.unchanged.entries).toBeGreaterThanOrEqual(entries);
  for (const group of ['created', 'overwritten', 'deleted', 'kept'] as const) {
    expect([group, changes[group]]).toEqual([group, { entries: 0, files: 0, bytes: 0, examples: [] }]);
  }
  expect(await snapshotTree(bench.dir)).toEqual(before);
});

describe('the restore then does what was said', () => {
  const exclude = ['*.log', 'cache/', '/**/never'];
  beforeEach(async () => {
    await makeFiles(tree, {
      ...{
        same: 'same',
        content: 'long ago',
        'dir/gone': 'x',
        'dir/other': 'x',
        mode: 'x',
        'a/was-dir/f': 'x',
      },
      ...{ 'was-file': 'xyz', 'dir/time': 'x', 'empty/e': 'x' },
    });
    await symlink('same', join(tree, 'link'));
    await symlink('same', join(tree, 'kept-link'));
    await mkdir(join(tree, 'hollow'));
  });
  const change = async (): Promise<void> => {
    await rm(join(tree, 'dir/gone'));
    await rm(join(tree, 'a/was-dir'), { recursive: true });
    await unlink(join(tree, 'was-file'));
    await unlink(join(tree, 'link'));
    await makeFiles(tree, {
      ...{
        content: 'now it is longer',
        'a/was-dir': 'a file',
        'was-file/is/dir': 'x',
        'new/deep/file': '12345',
      },
      ...{ 'new.log': 'log', 'fresh/sub/x.log': 'log', 'dir/cache/big': 'xx', 'tmp/never/here': 'x' },
      ...{ 'fresh/goes': 'x' },
    });
    await symlink('content', join(tree, 'link'));
    await lutimes(join(tree, 'kept-link'), 5, 5);
    await chmod(join(tree, 'mode'), 0o600);
    await utimes(join(tree, 'dir/time'), 5, 5);
  };

  test('overwriting: what the server alone has goes, but for what survives', async () => {
    const what = service([tree], exclude);
    const preview = await backUp(what);
    await change();
    const keep = [Buffer.from(join(tree, 'dir/other')), Buffer.from(join(tree, 'empty'))];
    const changes = await preview({ keep });
    expect(brief(changes)).toEqual({
      created: ['a/was-dir/f', 'dir/gone'],
      overwritten: ['a/was-dir', 'content', 'dir/time', 'link', 'mode', 'was-file'],
      unchanged: ['.', 'a', 'dir', 'hollow', 'kept-link', 'same'],
      deleted: ['fresh/goes', 'new', 'new/deep', 'new/deep/file', 'was-file/is', 'was-file/is/dir'],
      kept: [
        ...['dir/cache', 'dir/cache/big', 'dir/other', 'empty', 'empty/e', 'fresh', 'fresh/sub'],
        ...['fresh/sub/x.log', 'new.log', 'tmp', 'tmp/never', 'tmp/never/here'],
      ],
    });
    expect(changes.deleted).toMatchObject({ entries: 6, files: 3, bytes: 7 });
    expect(changes.overwritten).toMatchObject({ entries: 6, files: 4, bytes: 8 + 1 + 1 + 3 });

    const before = await pathsOf(tree);
    const steps = stepsOver(bench, session);
    const prepared = await steps.prepare(what, { keep });
    await steps.apply(prepared);
    const after = await pathsOf(tree);
    await steps.forget(prepared);
    expect(before.filter((path) => !after.includes(path)).sort()).toEqual(brief(changes).deleted);
    expect(after.filter((path) => !before.includes(path)).sort()).toEqual(brief(changes).created);
    const { created, overwritten, deleted } = brief(await preview({ keep }));
    expect({ created, overwritten, deleted }).toEqual({ created: [], overwritten: [], deleted: [] });
  });

  test('not overwriting: what is there stays', async () => {
    const what = service([tree], exclude);
    const preview = await backUp(what);
    await change();
    const changes = await preview({ overwrite: false });
    const { created, overwritten, deleted, unchanged } = brief(changes);
    expect({ created, overwritten, deleted }).toEqual({
      ...{ created: ['dir/gone'], overwritten: [], deleted: [] },
    });
    expect(unchanged).toContain('same');
    const before = await pathsOf(tree);
    const steps = stepsOver(bench, session);
    const prepared = await steps.prepare(what, { overwrite: false });
    await steps.apply(prepared);
    await steps.forget(prepared);
    expect((await pathsOf(tree)).filter((path) => !before.includes(path))).toEqual(created);
  });

  test('to another folder: all of it is new there, and what the folder has besides is no concern', async () => {
    const preview = await backUp(service([tree], exclude));
    const to = join(bench.dir, 'elsewhere');
    await makeFiles(to, { own: 'x' });
    const changes = await preview({ restorePath: to, overwrite: false });
    expect(brief(changes, join(to, tree)).created).toEqual(
      (await pathsOf(tree)).map((path) => path || '.').sort(),
    );
    expect([changes.kept.entries, changes.deleted.entries]).toEqual([0, 0]);
  });
});

test('roots inside roots, missing ones, links to roots, and such that the backup does not hold', async () => {
  const [link, inner, gone] = [join(bench.dir, 'link'), join(tree, 'cache/inner'), join(bench.dir, 'gone')];
  await makeFiles(tree, { a: 'a', 'cache/b': 'b', 'cache/inner/c': 'c' });
  await makeFiles(gone, { d: 'd' });
  await symlink(tree, link);
  const preview = await backUp(service([link, inner, gone], ['cache']));
  await rename(gone, `${gone}.old`);
  await makeFiles(tree, { 'cache/inner/new': 'x', 'cache/inner/cache/x': 'x' });
  const below = bench.dir;
  expect(brief(await preview(), below)).toEqual({
    created: ['gone', 'gone/d'],
    overwritten: [],
    unchanged: ['link', 'tree', 'tree/a', 'tree/cache', 'tree/cache/inner', 'tree/cache/inner/c'],
    deleted: ['tree/cache/inner/new'],
    kept: ['tree/cache/b', 'tree/cache/inner/cache', 'tree/cache/inner/cache/x'],
  });
  const foreign = join(bench.dir, 'foreign');
  await makeFiles(foreign, { x: 'x' });
  const roots = [{ path: Buffer.from(foreign), type: 'directory' as const }];
  expect(brief(await preview({ roots }), below).kept).toEqual(['foreign', 'foreign/x']);
  const one = [{ path: Buffer.from(join(tree, 'a')), type: 'other' as const }];
  expect(brief(await preview({ roots: one }), below)).toMatchObject({ unchanged: ['tree/a'], kept: [] });
});

test('no more than a hundred examples, and what cannot be looked into is said', async () => {
  const user = await createTestUser();
  try {
    await mkdir(tree);
    const preview = await backUp(service([tree]));
    for (let n = 0; n < 120; n += 1) await writeFile(join(tree, `f${n}`), 'xx');
    const { deleted } = await preview();
    expect(deleted).toMatchObject({ entries: 120, files: 120, bytes: 240 });
    expect(deleted.examples).toHaveLength(100);

    await mkdir(join(tree, 'secret'), { mode: 0o700 });
    const theirs = await sshSession(sshd, user.name);
    try {
      await preview({}, theirs);
    } finally {
      await theirs.close();
    }
    expect(warnings).toEqual([expect.objectContaining({ code: 'FILE_UNREADABLE' })]);
  } finally {
    await user.remove();
  }
});

test('a destination inside stays as it is, though the backup holds some of it', async () => {
  await makeFiles(tree, { data: 'old', 'daily/one': 'one', 'daily/gone': 'x' });
  const preview = await backUp(service([tree]));
  await makeFiles(tree, { data: 'newer', 'daily/one': 'another', 'daily/two': 'two' });
  await rm(join(tree, 'daily/gone'));
  const destinations = [{ name: 'daily', path: Buffer.from(join(tree, 'daily')) }];
  const over = brief(await preview({ destinations }));
  expect(over).toMatchObject({ created: [], deleted: [], overwritten: expect.arrayContaining(['data']) });
  expect(over.kept).toEqual(['daily', 'daily/one', 'daily/two']);
  const beside = brief(await preview({ destinations, overwrite: false }));
  expect(beside).toMatchObject({ created: [], kept: ['daily', 'daily/one', 'daily/two', 'data'] });
});
