import { mkdir, readFile, rename, rm, stat, symlink, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compareTrees,
  makeNastyTree,
  makeRealisticTree,
  type RunningSshd,
  requireTools,
  snapshotTree,
  startSshd,
} from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { PreparedRestore } from '../../../types.ts';
import { localSession, service, sshSession } from '../../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from '../testing-bench.ts';
import { type Steps, stepsOver } from './testing-steps.ts';

let bench: Bench;
let tree: string;
let sshd: RunningSshd;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
  sshd = await startSshd();
});
afterAll(() => sshd.stop());

describe.each(['local', 'ssh'])('over a session of kind %s', (kind) => {
  let session: Session;
  let steps: Steps;
  beforeEach(async () => {
    bench = await createBench();
    tree = join(bench.dir, 'tree');
    session = kind === 'local' ? await localSession() : await sshSession(sshd);
    steps = stepsOver(bench, session);
  });
  afterEach(async () => {
    await session.close();
    await bench.close();
  });

  test("the backup's tree takes the place of what is there, and gives it back", async () => {
    await makeNastyTree(join(tree, 'nasty'));
    await makeRealisticTree(join(tree, 'real'), 5_000_000, 2);
    const backedUp = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(tree, 'nasty'), { recursive: true });
    await makeFiles(tree, { 'added/later': 'newer', nasty: 'a file now' });
    const before = await snapshotTree(bench.dir);
    const prepared = await steps.prepare(service([tree]));
    expect(
      compareTrees(before, await snapshotTree(bench.dir)).every((line) => line.includes('.tarfleet')),
    ).toBe(true);
    const summary = await steps.apply(prepared);
    expect(compareTrees(backedUp, await snapshotTree(tree))).toEqual([]);
    expect(summary.filesRestored).toBe(backedUp.filter((entry) => entry.type !== 'directory').length);
    expect(await steps.apply(prepared)).toEqual(summary);
    expect(compareTrees(backedUp, await snapshotTree(tree))).toEqual([]);
    await steps.forget(prepared, true);
    expect(await steps.undoable(prepared)).toBe(null);
    await steps.undo(prepared);
    await steps.undo(prepared);
    expect(await steps.undoable(prepared)).toMatch(/put back already/);
    await steps.forget(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
    expect(steps.warnings).toEqual([]);
  });

  test('what an attempt that died had claimed is removed by whoever forgets it', async () => {
    await makeFiles(tree, { 'a/file': 'content' });
    await bench.backUp(service([tree]));
    const before = await snapshotTree(bench.dir);
    const claims: PreparedRestore[] = [];
    // All is unpacked; only that it came to its end is written down nowhere.
    await steps.prepare(service([tree]), { claim: async (one) => void claims.push(one) });
    expect(compareTrees(before, await snapshotTree(bench.dir))).not.toEqual([]);
    expect(claims).toHaveLength(1);
    for (const claimed of claims) await steps.forget(claimed);
    for (const claimed of claims) await steps.forget(claimed);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });

  test('a whole tree that is gone comes back with its parents, and goes again', async () => {
    tree = join(bench.dir, 'some/where/tree');
    await makeNastyTree(tree);
    const backedUp = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(bench.dir, 'some'), { recursive: true });
    const before = await snapshotTree(bench.dir);
    const prepared = await steps.prepare(service([tree]));
    await steps.apply(prepared);
    expect(compareTrees(backedUp, await snapshotTree(tree))).toEqual([]);
    expect((await stat(join(bench.dir, 'some/where'))).mode & 0o7777).toBe(0o755);
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });

  test('what the backup leaves out survives, both ways', async () => {
    const exclude = ['*.log', 'cache/', join(tree, 'run/*'), 'deep/er/kept'];
    await makeFiles(tree, { 'a/data': 'old', 'run/pid': '1', 'other/x': 'old', 'nested/own': 'old' });
    await bench.backUp(service([tree], exclude));
    await makeFiles(tree, {
      'a/data': 'newer',
      'a/new.log': 'a log',
      'b/c/d.log': 'deep log',
      'cache/x/y': 'cached',
      'run/pid': '2',
      'x/deep/er/kept/file': 'kept',
      'nested/own': 'of another service',
      'nested/more': 'of another service',
      '.tarfleet-restore-other/old/0': 'of another restore',
    });
    await rm(join(tree, 'other'), { recursive: true });
    const before = await snapshotTree(bench.dir);
    const keep = [Buffer.from(join(tree, 'nested')), Buffer.from(join(tree, 'not/there'))];
    const prepared = await steps.prepare(service([tree], exclude), { keep });
    await steps.apply(prepared);
    const read = (path: string): Promise<string> => readFile(join(tree, path), 'utf8');
    expect(await read('a/data')).toBe('old');
    expect(await read('other/x')).toBe('old');
    expect(await read('a/new.log')).toBe('a log');
    expect(await read('b/c/d.log')).toBe('deep log');
    expect(await read('cache/x/y')).toBe('cached');
    expect(await read('run/pid')).toBe('2');
    expect(await read('x/deep/er/kept/file')).toBe('kept');
    expect(await read('nested/own')).toBe('of another service');
    expect(await read('.tarfleet-restore-other/old/0')).toBe('of another restore');
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });

  test('a file, a symlink and a root behind a symlink', async () => {
    const roots = service([join(bench.dir, 'file'), join(bench.dir, 'link'), tree]);
    await makeFiles(bench.dir, { file: 'old', 'tree/x': 'old' });
    await symlink('file', join(bench.dir, 'link'));
    await bench.backUp(roots);
    await writeFile(join(bench.dir, 'file'), 'newer');
    await unlink(join(bench.dir, 'link'));
    await mkdir(join(bench.dir, 'link'));
    await rename(tree, join(bench.dir, 'bigger'));
    await symlink('bigger', tree);
    await makeFiles(tree, { x: 'newer', y: 'newer' });
    const before = await snapshotTree(bench.dir);
    const prepared = await steps.prepare(roots);
    await steps.apply(prepared);
    expect(await readFile(join(bench.dir, 'link'), 'utf8')).toBe('old');
    expect(await readFile(join(bench.dir, 'bigger/x'), 'utf8')).toBe('old');
    await expect(stat(join(bench.dir, 'bigger/y'))).rejects.toThrow('ENOENT');
    await steps.undo(prepared);
    await steps.forget(prepared);
    expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
  });
});
