// What cannot be renamed, and what is only added.
import { execFile } from 'node:child_process';
import { chmod, mkdir, readFile, rm, stat, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, snapshotTree } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { localSession, service } from '../../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from '../testing-bench.ts';
import { type Steps, stepsOver } from './testing-steps.ts';

const run = promisify(execFile);
let bench: Bench;
let tree: string;
let session: Session;
let steps: Steps;
const mounted: string[] = [];
const mount = async (path: string): Promise<void> => {
  await mkdir(path, { recursive: true });
  await run('mount', ['-t', 'tmpfs', '-o', 'size=24m', 'tmpfs', path]);
  mounted.push(path);
};
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'tree');
  session = await localSession();
  steps = stepsOver(bench, session);
});
afterEach(async () => {
  await session.close();
  for (const path of mounted.splice(0).reverse()) await run('umount', ['-l', path]);
  await bench.close();
});

const read = (path: string): Promise<string> => readFile(join(tree, path), 'utf8');

describe('in place', () => {
  test.each(['a root that is a mount', 'a root with a mount inside'])('%s, there and back', async (what) => {
    if (what === 'a root that is a mount') await mount(tree);
    await makeNastyTree(join(tree, 'nasty'));
    await mount(join(tree, 'inner'));
    await makeFiles(tree, { a: 'old', 'inner/b': 'old', 'inner/sub/c': 'old', 'more/d': 'old' });
    const backedUp = await snapshotTree(tree);
    const exclude = ['*.log'];
    await bench.backUp(service([tree], exclude));
    await rm(join(tree, 'nasty'), { recursive: true });
    await makeFiles(tree, { a: 'newer', 'inner/b': 'newer', 'inner/added/x': 'newer', 'added/y': 'newer' });
    await unlink(join(tree, 'more/d'));
    const before = await snapshotTree(tree);
    for (const round of ['without survivors', 'with survivors']) {
      if (round === 'with survivors') {
        await makeFiles(tree, {
          'a.log': 'log',
          'inner/sub/b.log': 'log',
          'gone/deep/c.log': 'log',
          'inner/b': 'x',
        });
      }
      const start = await snapshotTree(tree);
      const prepared = await steps.prepare(service([tree], exclude));
      await steps.apply(prepared);
      await steps.apply(prepared);
      const after = (await snapshotTree(tree)).filter(({ path }) => !path.includes('.tarfleet'));
      const faults = compareTrees(backedUp, after);
      if (round === 'without survivors') expect(faults).toEqual([]);
      else {
        expect(faults.sort()).toEqual([
          '"a.log" is new (file)',
          ...['gone', 'gone/deep'].map((path) => `"${path}" is new (directory)`),
          '"gone/deep/c.log" is new (file)',
          '"inner/sub/b.log" is new (file)',
        ]);
      }
      if (round === 'with survivors') await steps.forget(prepared, true);
      expect(await steps.undoable(prepared)).toBe(null);
      await steps.undo(prepared);
      await steps.undo(prepared);
      await steps.forget(prepared);
      expect(compareTrees(start, await snapshotTree(tree))).toEqual([]);
    }
    expect(before.length).toBeGreaterThan(3);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('what is kept there needs no room a second time', async () => {
    await mount(tree);
    await makeFiles(tree, { a: 'old' });
    await bench.backUp(service([tree]));
    const daily = Buffer.from(join(tree, 'da[i]ly'));
    await makeFiles(tree, { a: 'newer', 'da[i]ly/one': 'x'.repeat(16 * 1024 * 1024) });
    await expect(steps.prepare(service([tree]))).rejects.toMatchObject({ code: 'INSUFFICIENT_STORAGE' });
    for (const staying of [{ keep: [daily] }, { destinations: [{ name: 'daily', path: daily }] }]) {
      const prepared = await steps.prepare(service([tree]), staying);
      await steps.apply(prepared);
      expect([await read('a'), (await read('da[i]ly/one')).length]).toEqual(['old', 16 * 1024 * 1024]);
      await steps.undo(prepared);
      await steps.forget(prepared);
    }
  });

  test('something mounted since then is told before anything is moved', async () => {
    await makeFiles(tree, { a: 'old', 'sub/b': 'old' });
    await bench.backUp(service([tree]));
    await makeFiles(tree, { a: 'newer' });
    const prepared = await steps.prepare(service([tree]));
    await mount(join(tree, 'sub'));
    await makeFiles(tree, { 'sub/live': 'precious' });
    await expect(steps.apply(prepared)).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringContaining('nothing was changed'),
    });
    expect([await read('a'), await read('sub/live')]).toEqual(['newer', 'precious']);
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect([await read('a'), await read('sub/live')]).toEqual(['newer', 'precious']);
    expect(await bench.leftovers()).toEqual([]);
  });
});

describe('adding', () => {
  test('what is there stays, what was added goes again', async () => {
    await makeFiles(tree, { 'a/kept': 'old', 'a/gone': 'old', 'b/x/gone': 'old', c: 'old' });
    await bench.backUp(service([tree]));
    await makeFiles(tree, { 'a/kept': 'newer', added: 'newer' });
    await unlink(join(tree, 'a/gone'));
    await rm(join(tree, 'b'), { recursive: true });
    await unlink(join(tree, 'c'));
    await mkdir(join(tree, 'c'));
    await chmod(join(tree, 'a'), 0o700);
    const before = await snapshotTree(bench.dir);
    const prepared = await steps.prepare(service([tree]), { overwrite: false });
    const summary = await steps.apply(prepared);
    expect(summary).toEqual({ filesRestored: 2, filesSkipped: 2, bytesRestored: 6 });
    expect(await steps.apply(prepared)).toEqual(summary);
    expect([await read('a/kept'), await read('a/gone'), await read('b/x/gone')]).toEqual([
      'newer',
      'old',
      'old',
    ]);
    expect((await stat(join(tree, 'a'))).mode & 0o777).toBe(0o700);
    await steps.forget(prepared, true);
    expect(await steps.undoable(prepared)).toBe(null);
    await steps.undo(prepared);
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });

  test('below another folder that is not there yet, which goes with it', async () => {
    await makeNastyTree(tree);
    const backedUp = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    const before = await snapshotTree(bench.dir);
    const to = join(bench.dir, 'to "here"\n');
    const prepared = await steps.prepare(service([tree]), { overwrite: false, restorePath: to });
    await steps.apply(prepared);
    expect(compareTrees(backedUp, await snapshotTree(join(to, tree)))).toEqual([]);
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });

  test('what was put in the place of something added meanwhile stays', async () => {
    await makeFiles(tree, { a: 'old', b: 'old' });
    await bench.backUp(service([tree]));
    await unlink(join(tree, 'a'));
    await unlink(join(tree, 'b'));
    const prepared = await steps.prepare(service([tree]), { overwrite: false });
    await steps.apply(prepared);
    await writeFile(join(tree, 'c'), 'mine');
    await run('mv', [join(tree, 'c'), join(tree, 'a')]);
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(await read('a')).toBe('mine');
    await expect(read('b')).rejects.toThrow('ENOENT');
  });
});
