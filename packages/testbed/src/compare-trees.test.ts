import { execFileSync } from 'node:child_process';
import { appendFile, chmod, mkdtemp, rm, symlink, unlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from './compare-trees.ts';
import { makeNastyTree, makeRealisticTree } from './make-tree.ts';

let dir: string;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-trees-'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

test('a copy with everything kept is the same, and each kind of damage is found', async () => {
  const tree = join(dir, 'tree');
  await makeNastyTree(tree);
  await makeRealisticTree(join(tree, 'more'), 2_000_000, 7);
  const before = await snapshotTree(tree);
  execFileSync('cp', ['-a', tree, join(dir, 'copy')]);
  expect(compareTrees(before, await snapshotTree(join(dir, 'copy')))).toEqual([]);

  await appendFile(join(tree, 'with space'), 'x');
  await chmod(join(tree, 'tab\there'), 0o600);
  await unlink(join(tree, 'dou"ble'));
  await unlink(join(tree, 'link-relative'));
  await symlink('hard-2', join(tree, 'link-relative'));
  await writeFile(join(tree, 'added'), '');
  await utimes(join(tree, 'empty file'), 1, 1);
  const found = compareTrees(before, await snapshotTree(tree)).join('\n');
  for (const part of [
    '"with space": sha256',
    '"tab\\there": mode',
    '"dou\\"ble" is missing',
    '"link-relative": link',
    '"added" is new',
    '"empty file": mtimeNs',
  ]) {
    expect(found).toContain(part);
  }
});

test('the same seed makes the same files', async () => {
  await makeRealisticTree(join(dir, 'a'), 1_000_000, 3);
  await makeRealisticTree(join(dir, 'b'), 1_000_000, 3);
  const plain = (entries: Awaited<ReturnType<typeof snapshotTree>>) =>
    entries
      .filter((entry) => entry.type === 'file')
      .map(({ path, sha256, mtimeNs }) => ({ path, sha256, mtimeNs }));
  expect(plain(await snapshotTree(join(dir, 'a')))).toEqual(plain(await snapshotTree(join(dir, 'b'))));
});
