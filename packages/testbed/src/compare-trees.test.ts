import { execFileSync } from 'node:child_process';
import {
  appendFile,
  chmod,
  link,
  mkdir,
  mkdtemp,
  open,
  rm,
  unlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import { compareTrees, snapshotTree } from './compare-trees.ts';
import { makeNastyTree } from './make-nasty-tree.ts';
import { makeRealisticTree } from './make-realistic-tree.ts';
import { requireTools } from './tools.ts';

let dir: string;
let tree: string;
beforeEach(async () => {
  await requireTools(['setfattr', 'setfacl']);
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-trees-'));
  tree = join(dir, 'tree');
});
afterEach(() => {
  // Who is not root cannot empty a read-only folder.
  execFileSync('chmod', ['-R', 'u+rwX', dir]);
  return rm(dir, { recursive: true, force: true });
});

test('a copy with everything kept is the same', async () => {
  await makeNastyTree(tree);
  await makeRealisticTree(join(tree, 'more'), 2_000_000, 7);
  execFileSync('cp', ['-a', tree, join(dir, 'copy')]);
  const before = await snapshotTree(tree);
  expect(compareTrees(before, await snapshotTree(join(dir, 'copy')))).toEqual([]);
  expect(compareTrees(before, await snapshotTree(`${join(dir, 'copy')}/`))).toEqual([]);
});

test('a snapshot tells all of an entry, in the order of bytes', async () => {
  await makeNastyTree(tree);
  await mkdir(join(tree, 'a'));
  await writeFile(join(tree, 'a/x'), '');
  await writeFile(join(tree, 'a-b'), '');
  const entries = await snapshotTree(tree);
  const paths = entries.map(({ path }) => Buffer.from(path, 'latin1'));
  expect(paths).toEqual([...paths].sort(Buffer.compare));
  const found = execFileSync('find', [tree, '-printf', 'x']).length;
  expect(paths).toHaveLength(found);
  const entry = (path: string) => entries.find((one) => one.path === path);
  expect(entry('hard-1')).toMatchObject({ sameAs: 'folder with\nnewline/hard-3', size: '24' });
  expect(entry('link-bytes')).toMatchObject({ type: 'symlink', link: '\xff\n ' });
  expect(entry('d\xff/\xfe')).toMatchObject({ type: 'file', size: '14' });
  expect(entry('fifo')).toMatchObject({ type: 'fifo', mtimeNs: '981173106123456789' });
  expect(entry('setuid')).toMatchObject({ mode: '4755' });
  if (process.getuid?.() !== 0) return;
  expect(entry('foreign link')).toMatchObject({ uid: '12345', gid: '54321' });
  expect(entry('new\nline')?.xattrs).toBe('user.bytes=0x00ff0a22');
  expect(entry('foreign folder')?.xattrs).toMatch(/posix_acl_access=0x.* system.posix_acl_default=0x/);
});

const there = (name: string): string => join(tree, name);
const shell = (script: string): void => void execFileSync('sh', ['-ec', script], { cwd: tree });

const DAMAGES: [kind: string, line: RegExp, damage: () => Promise<void> | void][] = [
  ['a longer file', /^"file": size was "7", is "8"$/m, () => appendFile(there('file'), 'x')],
  [
    'another content, all else the same',
    /^"file": sha256 was "\w{64}", is "\w{64}"$/,
    () => flip(there('file')),
  ],
  ['a mode', /^"file": mode was "644", is "600"$/, () => chmod(there('file'), 0o600)],
  ['a lost setuid', /^"setuid": mode was "4755", is "755"$/, () => chmod(there('setuid'), 0o755)],
  ['a time', /^"file": mtimeNs was "\d+", is "1000000000"$/, () => utimes(there('file'), 1, 1)],
  [
    'a time off by one nanosecond',
    /mtimeNs was "1000000001", is "1000000002"$/,
    () => shell('touch -d @1.000000002 timed'),
  ],
  ['the time of a link', /^"link": mtimeNs/, () => shell('touch -hd @7 link')],
  ['the time of a folder', /^"folder": mtimeNs/, () => shell('touch -d @7 folder')],
  ['a target', /^"link": link was "file", is "other"$/m, () => shell('ln -sfn other link')],
  ['a missing file', /^"folder\/inner" is missing \(file\)$/m, () => unlink(there('folder/inner'))],
  [
    'a missing empty folder',
    /^"empty" is missing \(directory\)$/m,
    () => rm(there('empty'), { recursive: true }),
  ],
  ['one more file', /^"more" is new \(file\)$/m, () => writeFile(there('more'), '')],
  ['a name with other bytes', /^"\\n" is missing \(file\)$/m, () => shell("mv '\n' plain")],
  [
    'a link turned into its file',
    /^"link": type was "symlink", is "file"$/m,
    () => shell('rm link; cp file link'),
  ],
  [
    'a hard link turned into a copy',
    /^"hard-2": sameAs was "hard-1", is ""$/m,
    () => shell('cp -p hard-2 t; mv t hard-2'),
  ],
  ['a copy turned into a hard link', /^"twin-2": sameAs was "", is "twin-1"$/m, () => relink()],
];
const ROOT_DAMAGES: typeof DAMAGES = [
  ['an owner', /^"file": uid was "0", is "77"$/, () => shell('chown 77 file')],
  ['a group', /^"file": gid was "0", is "88"$/, () => shell('chgrp 88 file')],
  ['the owner of a link', /^"link": uid was "0", is "77"$/, () => shell('chown -h 77 link')],
  [
    'an attribute',
    /^"file": xattrs was "user.a=0x31", is "user.a=0x32"$/,
    () => shell('setfattr -n user.a -v 2 file'),
  ],
  [
    'a lost ACL',
    /^"folder": xattrs was ".*posix_acl_default=0x\w+", is ""$/m,
    () => shell('setfacl -b folder'),
  ],
  ['another device', /^"device": rdev was "259", is "261"$/m, () => shell('rm device; mknod device c 1 5')],
];

async function flip(path: string): Promise<void> {
  const file = await open(path, 'r+');
  const { atime, mtime } = await file.stat();
  await file.write('X', 3);
  await file.utimes(atime, mtime);
  await file.close();
}

async function relink(): Promise<void> {
  await unlink(there('twin-2'));
  await link(there('twin-1'), there('twin-2'));
}

const asRoot = process.getuid?.() === 0 ? ROOT_DAMAGES : [];
test.each([...DAMAGES, ...asRoot])('%s is found', async (_kind, line, damage) => {
  await mkdir(tree);
  shell(`umask 022
    printf content >file; touch -d @5 file; touch -d @1.000000001 timed; touch setuid '\n'; chmod 4755 setuid
    mkdir folder empty; touch folder/inner; ln -s file link; echo h >hard-1; ln hard-1 hard-2; echo t | tee twin-1 >twin-2`);
  if (asRoot.length > 0) shell('setfattr -n user.a -v 1 file; setfacl -m d:u:5:r folder; mknod device c 1 3');
  const before = await snapshotTree(tree);
  await damage();
  const differences = compareTrees(before, await snapshotTree(tree));
  expect(differences.join('\n')).toMatch(line);
});

test('the same seed makes the same tree, of the size that was asked for; another seed makes another', async () => {
  await makeRealisticTree(join(dir, 'a'), 5_000_000, 3);
  await makeRealisticTree(join(dir, 'b'), 5_000_000, 3);
  await makeRealisticTree(join(dir, 'c'), 5_000_000, 4);
  const one = await snapshotTree(join(dir, 'a'));
  expect(compareTrees(one, await snapshotTree(join(dir, 'b')))).toEqual([]);
  expect(compareTrees(one, await snapshotTree(join(dir, 'c')))).not.toEqual([]);
  expect(one.reduce((sum, { size }) => sum + Number(size), 0)).toBe(5_000_000);
});
