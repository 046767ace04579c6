// A destination inside what is restored: its backups stay, whatever an archive of an earlier version holds of them.
import { mkdir, readFile, rm, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { localSession, service } from '../../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from '../testing-bench.ts';
import { type Steps, stepsOver } from './testing-steps.ts';

let bench: Bench;
let tree: string;
let session: Session;
let steps: Steps;
let destinations: { name: string; path: Buffer }[];
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'self');
  session = await localSession();
  steps = stepsOver(bench, session);
  destinations = [{ name: 'daily', path: Buffer.from(join(tree, 'daily')) }];
  await makeFiles(tree, { data: 'old', 'daily/p/one': 'one', 'daily/p/deleted': 'deleted since' });
  await bench.backUp(service([tree]));
  await rm(join(tree, 'daily/p/deleted'));
});
afterEach(async () => {
  await session.close();
  await bench.close();
});
const read = (path: string): Promise<string> => readFile(join(tree, path), 'utf8');

test.each([true, false])('every backup stays, there and back (overwriting: %s)', async (overwrite) => {
  await makeFiles(tree, { 'daily/p/one': 'one, moved', 'daily/p/two': 'two' });
  await rm(join(tree, 'data'));
  const there = await snapshotTree(join(tree, 'daily'));
  const prepared = await steps.prepare(service([tree]), { destinations, overwrite });
  await steps.apply(prepared);
  expect(await read('data')).toBe('old');
  expect(compareTrees(there, await snapshotTree(join(tree, 'daily')))).toEqual([]);
  // Backups go on coming.
  await makeFiles(tree, { 'daily/p/three': 'three' });
  const later = await snapshotTree(join(tree, 'daily'));
  await steps.forget(prepared, true);
  expect(await steps.undoable(prepared, destinations)).toBeNull();
  await steps.undo(prepared);
  await steps.forget(prepared);
  expect(compareTrees(later, await snapshotTree(join(tree, 'daily')))).toEqual([]);
  await expect(read('data')).rejects.toThrow('ENOENT');
});

test('where the destination is gone, what the archive holds of it comes back', async () => {
  await rm(join(tree, 'daily'), { recursive: true });
  for (const overwrite of [false, true]) {
    await steps.apply(await steps.prepare(service([tree]), { destinations, overwrite }));
    expect(await read('daily/p/deleted')).toBe('deleted since');
  }
});

test('nothing is left out by way of a symlink in the archive', async () => {
  await rm(tree, { recursive: true });
  await makeFiles(bench.dir, { 'outside/daily/x': 'theirs' });
  await mkdir(tree);
  await symlink(join(bench.dir, 'outside'), join(tree, 'a'));
  await bench.backUp(service([tree]));
  await rm(join(tree, 'a'));
  await makeFiles(tree, { 'a/daily/x': 'a backup' });
  const inner = [{ name: 'daily', path: Buffer.from(join(tree, 'a/daily')) }];
  await steps.apply(await steps.prepare(service([tree]), { destinations: inner, overwrite: false }));
  expect(await readFile(join(bench.dir, 'outside/daily/x'), 'utf8')).toBe('theirs');
  expect(await read('a/daily/x')).toBe('a backup');
});

test('a destination that has come since keeps the way back from being gone', async () => {
  for (const overwrite of [true, false]) {
    const prepared = await steps.prepare(service([tree]), { overwrite });
    await steps.apply(prepared);
    await makeFiles(tree, { 'daily/p/new': 'new' });
    expect(await steps.undoable(prepared)).toBeNull();
    expect(await steps.undoable(prepared, destinations)).toMatch(
      /the destination daily keeps its backups in .*self.daily/,
    );
    await rm(join(tree, 'daily'), { recursive: true });
    expect(await steps.undoable(prepared, destinations)).toBeNull();
    await makeFiles(tree, { 'daily/p/one': 'one' });
  }
});

test.each([true, false])('nothing is restored into a destination (overwriting: %s)', async (overwrite) => {
  for (const path of [bench.dir, tree, join(tree, 'daily')]) {
    const inside = [{ name: 'big', path: Buffer.from(path) }];
    const prepare = steps.prepare(service([tree]), { destinations: inside, overwrite });
    if (path === join(tree, 'daily')) await steps.forget(await prepare);
    else
      await expect(prepare).rejects.toMatchObject({
        code: 'PATH_REFUSED',
        message: expect.stringContaining('big'),
      });
  }
});
