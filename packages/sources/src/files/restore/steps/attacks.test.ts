// Whoever may write inside a tree, or whose processes stand in it, moves nothing outside of it.
import { execFile } from 'node:child_process';
import { lstat, mkdir, readFile, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, type RunningSshd, snapshotTree, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import {
  createTestUser,
  localSession,
  processesWith,
  service,
  sshSession,
  type TestUser,
  until,
} from '../../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from '../testing-bench.ts';
import { stepsOver } from './testing-steps.ts';

const run = promisify(execFile);
let bench: Bench;
let tree: string;
let session: Session;
let user: TestUser;
let sshd: RunningSshd;
beforeAll(async () => {
  user = await createTestUser();
  sshd = await startSshd();
});
afterAll(async () => {
  await sshd.stop();
  await user.remove();
});
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'home/tree');
  session = await localSession();
});
afterEach(async () => {
  await session.close();
  await bench.close();
});

test('a user who swaps folders for links while it runs gains nothing', async () => {
  const content: Record<string, string> = {};
  for (let n = 0; n < 60; n += 1) content[`d${n % 10}/e${n % 5}/f${n}`] = 'old';
  await makeFiles(tree, content);
  await run('chown', ['-R', `${user.uid}`, join(bench.dir, 'home')]);
  await bench.backUp(service([tree], ['*.log']));
  for (let n = 0; n < 10; n += 1) await makeFiles(tree, { [`d${n}/e0/${n}.log`]: 'log' });
  await run('chown', ['-R', `${user.uid}`, join(bench.dir, 'home')]);
  const outside = join(bench.dir, 'outside');
  await makeFiles(outside, { 'e0/keep': 'x', 'e0/1.log': 'x', 'e1/keep': 'x', keep: 'x' });
  const before = await snapshotTree(outside);
  const marker = `attack-${bench.dir}`;
  // It stands in the tree, so that it goes on inside when the tree is moved; and swaps the tree itself, too.
  const attack = run('setpriv', [
    ...[`--reuid=${user.uid}`, '--clear-groups', 'sh', '-c'],
    'cd "$1"; while [ ! -e "$3" ]; do for n in 1 5 9; do mv -T "d$n" "s$n" && ln -s "$2" "d$n"; mv -T "d$n/e0" x; rm -f "d$n"; mv -T "s$n" "d$n"; done; mv -T "$1" "$1.x" && ln -s "$2" "$1"; rm -f "$1"; mv -T "$1.x" "$1"; done 2>/dev/null',
    ...[marker, tree, outside, join(bench.dir, 'home/stop')],
  ]).catch(() => undefined);
  await until(async () => (await processesWith(marker)).length > 0);
  const steps = stepsOver(bench, session);
  for (let round = 0; round < 4; round += 1) {
    // It may well fail, since somebody else changes the tree; but never outside of it.
    const prepared = await steps.prepare(service([tree], ['*.log'])).catch(() => null);
    if (prepared) {
      await steps.apply(prepared).catch(() => undefined);
      if (round % 2 === 0) await steps.undo(prepared).catch(() => undefined);
      await steps.forget(prepared).catch(() => undefined);
    }
    expect(compareTrees(before, await snapshotTree(outside))).toEqual([]);
  }
  await writeFile(join(bench.dir, 'home/stop'), '');
  await attack;
}, 300_000);

test('a link in the way of what survives is not followed', async () => {
  await makeFiles(tree, { 'a/b/c': 'old' });
  await bench.backUp(service([tree], ['*.log']));
  await makeFiles(tree, { 'a/b/x.log': 'log' });
  await makeFiles(bench.dir, { 'outside/b/x.log': 'precious' });
  const steps = stepsOver(bench, session);
  const keep = [Buffer.from(join(tree, 'a/b/c'))];
  const prepared = await steps.prepare(service([tree], ['*.log']), { keep });
  await rename(join(tree, 'a'), join(tree, 'moved'));
  await symlink(join(bench.dir, 'outside'), join(tree, 'a'));
  await steps.apply(prepared);
  expect(await readFile(join(bench.dir, 'outside/b/x.log'), 'utf8')).toBe('precious');
  expect(await readFile(join(tree, 'a/b/c'), 'utf8')).toBe('old');
  expect(await readFile(join(tree, 'moved/b/x.log'), 'utf8')).toBe('log');
  await steps.undo(prepared);
  expect((await lstat(join(tree, 'a'))).isSymbolicLink()).toBe(true);
});

test('what is to be kept below what is a file in the backup is told before anything is moved', async () => {
  await makeFiles(tree, { a: 'a file', b: 'old' });
  await bench.backUp(service([tree], ['*.log']));
  await rm(join(tree, 'a'));
  await makeFiles(tree, { b: 'newer' });
  const steps = stepsOver(bench, session);
  const early = await steps.prepare(service([tree], ['*.log']));
  await makeFiles(tree, { 'a/x.log': 'log' });
  for (const act of [() => steps.apply(early), () => steps.prepare(service([tree], ['*.log']))]) {
    await expect(act()).rejects.toMatchObject({
      code: 'RESTORE_FAILED',
      message: expect.stringMatching(/nothing was changed: a is no folder in the backup/),
    });
    expect(await readFile(join(tree, 'b'), 'utf8')).toBe('newer');
  }
  await steps.undo(early);
  await steps.forget(early);
  expect(await bench.leftovers()).toEqual([]);
});

test('what an attempt began is not begun anew; what was put there since is not called undoable', async () => {
  await makeFiles(tree, { a: 'old' });
  await bench.backUp(service([tree]));
  await writeFile(join(tree, 'a'), 'newer');
  const steps = stepsOver(bench, session);
  const jobId = 'begun';
  await steps.prepare(service([tree]), { jobId });
  const prepared = await steps.prepare(service([tree]), { jobId });
  await steps.apply(prepared);
  await expect(steps.prepare(service([tree]), { jobId })).rejects.toMatchObject({
    message: expect.stringContaining('has begun'),
  });
  await rename(tree, `${tree}.mine`);
  await mkdir(tree);
  expect(await steps.undoable(prepared)).toMatch(/something else is in/);
  await steps.undo(prepared);
  expect(await readFile(join(tree, 'a'), 'utf8')).toBe('newer');
});

test('a user who may not replace the tree is told so before anything is made', async () => {
  await makeFiles(tree, { a: 'old' });
  await bench.backUp(service([tree]));
  const before = await snapshotTree(bench.dir);
  const own = await sshSession(sshd, user.name);
  const refused = expect.objectContaining({ code: 'INSUFFICIENT_PERMISSIONS' });
  await expect(stepsOver(bench, own).prepare(service([tree]))).rejects.toEqual(refused);
  await own.close();
  const needs = { bytes: 1e15, files: 1 };
  await expect(stepsOver(bench, session).prepare(service([tree]), { needs })).rejects.toMatchObject({
    code: 'INSUFFICIENT_STORAGE',
  });
  expect(compareTrees(before, await snapshotTree(bench.dir))).toEqual([]);
});
