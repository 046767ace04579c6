import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { assertWithinRoots } from './assert-within-roots.ts';

let base: string;
let root: string;
beforeAll(async () => {
  base = await realpath(await mkdtemp(join(tmpdir(), 'tarfleet-roots-')));
  root = join(base, 'allowed');
  await mkdir(join(root, 'deep'), { recursive: true });
  await mkdir(join(base, 'allowed-not'));
  await mkdir(join(base, 'secret'));
  await writeFile(join(root, 'file'), '');
  await symlink(join(base, 'secret'), join(root, 'escape'));
  await symlink(join(base, 'secret/later'), join(root, 'dangling'));
  await symlink(join(root, 'deep'), join(base, 'way-in'));
  await symlink(root, join(base, 'root-link'));
  await symlink('loop', join(root, 'loop'));
});
afterAll(() => rm(base, { recursive: true, force: true }));

test('paths inside are allowed, existing or not, by their real names', async () => {
  const paths = ['', '/', '/deep', '/deep/', '/file', '/new/deeper', '/deep/new'].map((path) => root + path);
  expect(await assertWithinRoots(paths, [root])).toEqual(
    ['', '', '/deep', '/deep', '/file', '/new/deeper', '/deep/new'].map((path) => root + path),
  );
  expect(await assertWithinRoots([join(base, 'way-in/x')], ['/elsewhere', root])).toEqual([
    join(root, 'deep/x'),
  ]);
  expect(await assertWithinRoots([join(root, 'deep')], [join(base, 'root-link')])).toEqual([
    join(root, 'deep'),
  ]);
  expect(await assertWithinRoots(['/etc'], ['/'])).toEqual(['/etc']);
});

test.each([
  ['outside', () => base],
  ['a neighbour with the same beginning', () => join(base, 'allowed-not')],
  ['a link that leads out', () => join(root, 'escape')],
  ['below a link that leads out', () => join(root, 'escape/new/file')],
  ['a broken link that leads out', () => join(root, 'dangling')],
  ['below a broken link', () => join(root, 'dangling/file')],
  ['a loop of links', () => join(root, 'loop')],
  ['below a file', () => join(root, 'file/x')],
  ['dots that lead out', () => `${root}/../secret`],
  ['dots at all', () => `${root}/deep/../file`],
  ['a relative path', () => 'deep'],
  ['an empty path', () => ''],
  ['a NUL byte', () => `${root}/a\0b`],
])('%s is refused', async (_, path) => {
  await expect(assertWithinRoots([join(root, 'deep'), path()], [root])).rejects.toMatchObject({
    code: 'PATH_REFUSED',
  });
});

test('no roots allow nothing, and every path at fault is named', async () => {
  await expect(assertWithinRoots([root], [])).rejects.toMatchObject({ code: 'PATH_REFUSED' });
  await expect(assertWithinRoots(['/etc/one', root, '/etc/two'], [root])).rejects.toThrow(
    /\/etc\/one; \/etc\/two/,
  );
});
