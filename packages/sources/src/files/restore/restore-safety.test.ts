import { execFile } from 'node:child_process';
import {
  chmod,
  chown,
  link,
  lstat,
  mkdir,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  symlink,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compareTrees,
  makeNastyTree,
  type RunningSshd,
  requireTools,
  snapshotTree,
  startSshd,
} from '@tarfleet/testbed';
import {
  createTestUser,
  localSession,
  processesWith,
  service,
  sshSession,
  type TestUser,
  until,
} from '../testing-sessions.ts';
import { type Bench, createBench, makeFiles } from './testing-bench.ts';

const run = promisify(execFile);
let bench: Bench;
let tree: string;
let sshd: RunningSshd;
let user: TestUser;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
  sshd = await startSshd();
  user = await createTestUser();
});
afterAll(async () => {
  await sshd.stop();
  await user.remove();
});
beforeEach(async () => {
  bench = await createBench();
  tree = join(bench.dir, 'tree');
});
afterEach(() => bench.close());

const refused = expect.objectContaining({ name: 'AppError', code: 'PATH_REFUSED' });

describe('symlinks in the target', () => {
  test('one in the place of a folder inside the tree is replaced, not followed', async () => {
    await makeFiles(tree, { 'sub/file': 'old', 'sub/deep/file': 'old' });
    await bench.backUp(service([tree]));
    await makeFiles(bench.dir, { 'outside/file': 'precious', 'outside/deep/file': 'precious' });
    await rm(join(tree, 'sub/deep'), { recursive: true });
    await symlink(join(bench.dir, 'outside/deep'), join(tree, 'sub/deep'));
    await unlink(join(tree, 'sub/file'));
    await symlink(join(bench.dir, 'outside/file'), join(tree, 'sub/file'));
    const kept = await bench.restore(service([tree]), { overwrite: false });
    expect(kept.filesSkipped).toBe(2);
    await bench.restore(service([tree]));
    expect(await readFile(join(bench.dir, 'outside/file'), 'utf8')).toBe('precious');
    expect(await readFile(join(bench.dir, 'outside/deep/file'), 'utf8')).toBe('precious');
    expect((await lstat(join(tree, 'sub/deep'))).isDirectory()).toBe(true);
    expect(await readFile(join(tree, 'sub/file'), 'utf8')).toBe('old');
  });

  test('one that its user may change leads nowhere but to the own folders', async () => {
    const home = join(bench.dir, 'home');
    tree = join(home, 'site/data');
    await makeFiles(tree, { file: 'old' });
    await run('chown', ['-R', `${user.uid}`, home]);
    await bench.backUp(service([tree]));
    await makeFiles(bench.dir, { 'etc/data/file': 'precious', 'etc/keep': '' });
    await rename(join(home, 'site'), join(home, 'moved'));
    for (const where of [join(home, 'site'), tree]) {
      if (where === tree) await mkdir(join(home, 'site'));
      await run('chown', [`${user.uid}`, join(home, 'site')]).catch(() => undefined);
      await symlink(where === tree ? join(bench.dir, 'etc/data') : join(bench.dir, 'etc'), where);
      await run('chown', ['-h', `${user.uid}`, where]);
      await expect(bench.restore(service([tree]))).rejects.toEqual(refused);
      await rm(join(home, 'site'), { recursive: true });
    }
    expect(await readFile(join(bench.dir, 'etc/data/file'), 'utf8')).toBe('precious');
    await symlink('moved', join(home, 'site'));
    await run('chown', ['-h', `${user.uid}`, join(home, 'site')]);
    await writeFile(join(home, 'moved/data/file'), 'newer');
    await bench.restore(service([tree]));
    expect(await readFile(join(home, 'moved/data/file'), 'utf8')).toBe('old');
    expect((await lstat(join(home, 'site'))).isSymbolicLink()).toBe(true);
  });

  test("root's own are followed: a root that was moved to another place stays there", async () => {
    await makeFiles(tree, { file: 'old' });
    await bench.backUp(service([tree]));
    await rename(tree, join(bench.dir, 'bigger'));
    await symlink('bigger', tree);
    await writeFile(join(bench.dir, 'bigger/file'), 'newer');
    await bench.restore(service([tree]));
    expect((await lstat(tree)).isSymbolicLink()).toBe(true);
    expect(await readFile(join(bench.dir, 'bigger/file'), 'utf8')).toBe('old');
    expect(await bench.leftovers()).toEqual([]);
  });

  test('one to the root of all, or into the system, is refused', async () => {
    await makeFiles(tree, { file: 'old' });
    await bench.backUp(service([tree]));
    await rm(tree, { recursive: true });
    for (const target of ['/', '/proc', '/dev/shm']) {
      await symlink(target, tree);
      await expect(bench.restore(service([tree]))).rejects.toEqual(refused);
      await unlink(tree);
    }
    await writeFile(join(bench.dir, 'blocks'), '');
    await expect(bench.restore(service([tree]), { restorePath: join(bench.dir, 'blocks') })).rejects.toEqual(
      refused,
    );
  });

  test('a user who swaps folders for links while it runs gains nothing', async () => {
    const content: Record<string, string> = {};
    for (let n = 0; n < 300; n += 1) content[`d${n % 30}/e${n % 5}/f${n}`] = 'old';
    await makeFiles(tree, content);
    await run('chown', ['-R', `${user.uid}`, tree]);
    await bench.backUp(service([tree]));
    const outside = join(bench.dir, 'outside');
    await makeFiles(outside, { 'e0/keep': 'x', 'e1/keep': 'x' });
    const before = await snapshotTree(outside);
    const marker = `swap-${bench.dir}`;
    const attack = run('setpriv', [
      ...[`--reuid=${user.uid}`, '--clear-groups', 'sh', '-c'],
      'while [ -d "$1" ] && [ ! -e "$1/stop" ]; do for n in 1 5 9 17 29; do mv -T "$1/d$n" "$1/s$n" && ln -s "$2" "$1/d$n"; rm -f "$1/d$n"; mv -T "$1/s$n" "$1/d$n"; done; done 2>/dev/null',
      ...[marker, tree, outside],
    ]).catch(() => undefined);
    await until(async () => (await processesWith(marker)).length > 0);
    for (let round = 0; round < 5; round += 1) {
      // It may well fail, since somebody else changes the tree; but never outside of it.
      await bench.restore(service([tree])).catch(() => undefined);
      expect(compareTrees(before, await snapshotTree(outside))).toEqual([]);
    }
    await writeFile(join(tree, 'stop'), '');
    await attack;
    expect(await bench.leftovers()).toEqual([]);
  });
});

describe('archives that mean harm', () => {
  const evil = async (script: string): Promise<void> => {
    await run('sh', ['-c', `cd "$1" && ${script}`, 'sh', bench.dir]);
  };

  test.each([
    ['a name with ..', 'tar -cf archive.tar -P --transform "s,^tree/file,tree/../../../escaped," tree'],
    ['an absolute name', 'tar -cf archive.tar -P --transform "s,^tree/file,/tmp/escaped," tree'],
    [
      'a hard link to the outside',
      'ln tree/file tree/two && tar -cf archive.tar -P --transform "s,^tree/file,../../etc/passwd,hr" tree',
    ],
  ])('%s is refused before anything is changed', async (_what, script) => {
    await makeFiles(tree, { file: 'old' });
    await evil(script);
    await writeFile(join(tree, 'file'), 'newer');
    await expect(bench.restore(service(['/tree']), { restorePath: bench.dir })).rejects.toMatchObject({
      code: 'ARCHIVE_MALFORMED',
    });
    expect(await readFile(join(tree, 'file'), 'utf8')).toBe('newer');
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a symlink to the outside, then a file below it, writes nothing there', async () => {
    await mkdir(join(bench.dir, 'outside'));
    await makeFiles(bench.dir, { 'one/tree/x': 'not a folder', 'two/tree/x/evil': 'evil' });
    await rm(join(bench.dir, 'one/tree/x'));
    await symlink(join(bench.dir, 'outside'), join(bench.dir, 'one/tree/x'));
    await evil('tar -C one -cf archive.tar tree/x && tar -C two -rf archive.tar tree/x/evil');
    await bench.restore(service(['/tree']), { restorePath: join(bench.dir, 'to') }).catch(() => undefined);
    expect(await readdir(join(bench.dir, 'outside'))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('what lies outside the roots of the service stays in the archive', async () => {
    await makeFiles(bench.dir, { 'tree/a': 'a', 'tree2/b': 'b', 'other/c': 'c' });
    await evil('tar -cf archive.tar tree tree2 other');
    const result = await bench.restore(service(['/tree']), { restorePath: join(bench.dir, 'to') });
    expect(await readdir(join(bench.dir, 'to'))).toEqual(['tree']);
    expect(result.filesRestored).toBe(1);
  });
});

describe('attributes', () => {
  test('a folder that hands down its ACL and group changes nothing about what is restored', async () => {
    await makeNastyTree(tree);
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    const heir = join(bench.dir, 'heir');
    await mkdir(heir);
    await chown(heir, 0, 4242);
    await chmod(heir, 0o2775);
    await run('setfacl', ['-m', `d:u:${user.uid}:rwx,d:g:77:rwx`, heir]);
    const watching = watchStage(heir);
    await bench.restore(service([tree]), { restorePath: heir });
    expect(await watching).toMatch(/^drwx------/);
    expect(compareTrees(before, await snapshotTree(join(heir, tree)))).toEqual([]);
  });

  async function watchStage(folder: string): Promise<string> {
    for (;;) {
      const name = (await readdir(folder)).find((one) => one.startsWith('.tarfleet-restore-'));
      const acl = name && (await readdir(join(folder, name)).catch((): string[] => [])).includes('aside');
      if (acl) return (await run('ls', ['-ld', join(folder, name)]).catch(() => ({ stdout: '' }))).stdout;
      await new Promise((resolve) => setTimeout(resolve, 2));
    }
  }

  test('folders that are there already get theirs back only when overwriting', async () => {
    await makeFiles(tree, { 'a/x': 'x' });
    await run('setfacl', ['-m', 'u:1234:rx,d:u:1234:rx', join(tree, 'a')]);
    await run('setfattr', ['-n', 'user.note', '-v', 'kept', join(tree, 'a')]);
    await chown(join(tree, 'a'), 1111, 2222);
    await run('touch', ['-d', '@1000000000.5', join(tree, 'a'), tree]);
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await run('setfacl', ['-b', join(tree, 'a')]);
    await run('setfattr', ['-x', 'user.note', join(tree, 'a')]);
    await chown(join(tree, 'a'), 0, 0);
    await chmod(join(tree, 'a'), 0o700);
    await bench.restore(service([tree]), { overwrite: false });
    expect((await stat(join(tree, 'a'))).uid).toBe(0);
    await bench.restore(service([tree]));
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
  });

  test('hard links within and between roots stay links', async () => {
    await makeFiles(tree, { 'a/one': 'shared', 'b/x': '' });
    await link(join(tree, 'a/one'), join(tree, 'a/two'));
    await link(join(tree, 'a/one'), join(tree, 'b/three'));
    const before = await snapshotTree(tree);
    const roots = service([join(tree, 'a'), join(tree, 'b')]);
    await bench.backUp(roots);
    await unlink(join(tree, 'a/one'));
    await writeFile(join(tree, 'b/three'), 'changed');
    await bench.restore(roots);
    expect(compareTrees(before, await snapshotTree(tree)).filter((line) => !line.startsWith('"":'))).toEqual(
      [],
    );
  });
});

describe('as an ordinary user over ssh', () => {
  test('content comes back; what only root may do is told', async () => {
    const home = join(bench.dir, 'home');
    tree = join(home, 'tree');
    await makeFiles(tree, { 'a/mine': 'mine', 'a/foreign': 'foreign', 'b/locked/deep': 'x' });
    await run('mknod', [join(tree, 'null'), 'c', '1', '3']);
    await run('setfattr', ['-n', 'trusted.note', '-v', 'x', join(tree, 'a/mine')]);
    await run('chown', ['-R', `${user.uid}`, home]);
    await chown(join(tree, 'a/foreign'), 4711, 4711);
    await bench.backUp(service([tree]));
    await rm(tree, { recursive: true });
    const session = await sshSession(sshd, user.name);
    const result = await bench.restore(service([tree]), { session });
    await session.close();
    const codes = result.warnings.map((warning) => warning.code);
    expect(codes.filter((code) => code === 'OWNER_NOT_RESTORED')).toHaveLength(1);
    expect(codes).toContain('NODE_NOT_RESTORED');
    expect(codes).toContain('ATTRIBUTES_NOT_RESTORED');
    expect(result.filesRestored).toBe(3);
    expect(await readFile(join(tree, 'b/locked/deep'), 'utf8')).toBe('x');
    expect((await stat(join(tree, 'a/foreign'))).uid).toBe(user.uid);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('where the user may not write, it says so and changes nothing', async () => {
    await makeFiles(tree, { a: 'old' });
    await bench.backUp(service([tree]));
    await unlink(join(tree, 'a'));
    const session = await sshSession(sshd, user.name);
    await expect(bench.restore(service([tree]), { session })).rejects.toMatchObject({
      name: 'AppError',
      message: expect.stringContaining('may not write there'),
    });
    await session.close();
    expect(await readdir(tree)).toEqual([]);
  });
});

describe('mounts', () => {
  const mounted: string[] = [];
  const mount = async (path: string): Promise<void> => {
    await mkdir(path, { recursive: true });
    await run('mount', ['-t', 'tmpfs', '-o', 'size=8m', 'tmpfs', path]);
    mounted.push(path);
  };
  afterEach(async () => {
    for (const path of mounted.splice(0).reverse()) await run('umount', ['-l', path]);
  });

  test('a root that is a mount, and one inside a root, are restored in place', async () => {
    await mount(tree);
    await mount(join(tree, 'inner'));
    await makeFiles(tree, { a: 'a', 'inner/b': 'b', 'inner/sub/c': 'c', 'more/d': 'd' });
    const before = await snapshotTree(tree);
    await bench.backUp(service([tree]));
    await rm(join(tree, 'inner/sub'), { recursive: true });
    await writeFile(join(tree, 'inner/b'), 'changed');
    await unlink(join(tree, 'a'));
    await bench.restore(service([tree]));
    expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a folder with a mount in it does not give way to a file', async () => {
    await makeFiles(tree, { x: 'a file' });
    await bench.backUp(service([tree]));
    await unlink(join(tree, 'x'));
    await mount(join(tree, 'x/y z'));
    await makeFiles(join(tree, 'x/y z'), { live: 'precious' });
    await expect(bench.restore(service([tree]))).rejects.toMatchObject({
      message: expect.stringContaining('x is no folder in the backup, but x/y z is to be kept'),
    });
    expect(await readFile(join(tree, 'x/y z/live'), 'utf8')).toBe('precious');
    expect(await bench.leftovers()).toEqual([]);
  });

  test('a full disk is told as that, and the target stays as it was', async () => {
    await makeFiles(tree, { big: 'x'.repeat(12_000_000), small: 'old' });
    await bench.backUp(service([tree]));
    const small = join(bench.dir, 'small');
    await mount(small);
    await expect(bench.restore(service([tree]), { restorePath: small })).rejects.toMatchObject({
      code: 'INSUFFICIENT_STORAGE',
    });
    expect(await readdir(small)).toEqual([]);
  });

  test('roots on two filesystems take one pass each', async () => {
    await mount(join(bench.dir, 'other'));
    const roots = service([tree, join(bench.dir, 'other/tree')]);
    await makeFiles(tree, { a: 'a' });
    await makeFiles(join(bench.dir, 'other/tree'), { b: 'b' });
    await bench.backUp(roots);
    await rm(tree, { recursive: true });
    await rm(join(bench.dir, 'other/tree'), { recursive: true });
    const result = await bench.restore(roots);
    expect(result).toMatchObject({ filesRestored: 2, bytesRestored: 2 });
    expect(await readFile(join(bench.dir, 'other/tree/b'), 'utf8')).toBe('b');
    expect(await bench.leftovers()).toEqual([]);
  });
});

test('an abort while files are put in their places leaves all of the old ones or all of the new ones', async () => {
  const content: Record<string, string> = {};
  for (let n = 0; n < 500; n += 1) content[`d${n % 50}/f${n}`] = `old ${n}`;
  await makeFiles(tree, content);
  await bench.backUp(service([tree]));
  for (const path of Object.keys(content)) await writeFile(join(tree, path), 'newer');
  const before = await stat(tree);
  const session = await localSession();
  const controller = new AbortController();
  const reason = new Error('cancelled');
  const running = bench.restore(service([tree]), { session, signal: controller.signal });
  running.catch(() => undefined);
  // For a moment there is nothing in its place.
  await until(async () => (await stat(tree).catch(() => null))?.ino !== before.ino);
  controller.abort(reason);
  const end = await running.then(
    () => 'too late',
    (error: unknown) => error,
  );
  expect(['too late', reason]).toContain(end);
  for (const [path, old] of Object.entries(content)) {
    expect(await readFile(join(tree, path), 'utf8')).toBe(end === reason ? 'newer' : old);
  }
  expect(await bench.leftovers()).toEqual([]);
  await session.close();
});
