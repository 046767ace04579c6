// What of a server a capture holds: roots, excludes, and what is no plain file.
import { mkdir, readdir, symlink, truncate, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { makeRealisticTree } from '@tarfleet/testbed';
import { service } from '../testing-sessions.ts';
import { type Captured, type CaptureWorld, createCaptureWorld } from './testing-capture.ts';

let world: CaptureWorld;
let dir: string;
beforeEach(async () => {
  world = await createCaptureWorld();
  dir = world.dir;
});
afterEach(() => world.close());

const codes = (captured: Captured): string[] => captured.warnings.map((warning) => warning.code);

describe('roots', () => {
  test('a missing one is a warning, all missing an error, none at all an empty archive', async () => {
    await world.files('src/a');
    const captured = await world.whole(service([join(dir, 'src'), join(dir, 'nowhere')]));
    expect(codes(captured)).toEqual(['PATH_NOT_FOUND']);
    expect(captured.warnings[0]?.path?.toString()).toBe(join(dir, 'nowhere'));
    await expect(world.whole(service([join(dir, 'nowhere'), join(dir, 'src/a/b')]))).rejects.toMatchObject({
      code: 'PATH_NOT_FOUND',
    });
    const empty = await world.whole(service([]));
    expect(empty.totals).toEqual({ files: 0, directories: 0, other: 0, bytes: 0 });
    await world.assertReadable(empty.bytes);
    await mkdir(join(dir, 'empty'));
    expect(world.names(await world.whole(service([join(dir, 'empty')])))).toEqual(['/empty']);
  });

  test('a link to a folder or file brings both; a dangling one is told', async () => {
    await world.files('real/a', 'conf');
    await symlink('real', join(dir, 'to-dir'));
    await symlink(join(dir, 'conf'), join(dir, 'to-file'));
    await symlink('nothing', join(dir, 'dangling'));
    const captured = await world.whole(
      service(['to-dir', 'to-file', 'dangling'].map((name) => join(dir, name))),
    );
    expect(world.names(captured)).toEqual(['/conf', '/dangling', '/real', '/real/a', '/to-dir', '/to-file']);
    expect(codes(captured)).toEqual(['LINK_DANGLING']);
    await expect(world.rootsOf(captured.bytes)).resolves.toEqual([
      ['symlink', '/to-dir'],
      ['directory', '/real'],
      ['symlink', '/to-file'],
      ['other', '/conf'],
      ['symlink', '/dangling'],
    ]);
  });

  test('one inside another is read once, also where the other excludes it', async () => {
    await world.files('src/a', 'src/skip/b', 'src/skip/deep/keep/c', 'src/skip/deep/d', 'src/in/e');
    const paths = ['src', 'src/skip/deep/keep', 'src/in', 'src/', 'src/./in'].map((path) => `${dir}/${path}`);
    const captured = await world.whole(service(paths, ['skip']));
    expect(world.names(captured)).toEqual([
      ...['/src', '/src/a', '/src/in', '/src/in/e', '/src/skip', '/src/skip/deep'],
      ...['/src/skip/deep/keep', '/src/skip/deep/keep/c'],
    ]);
    expect(captured.totals).toMatchObject({ files: 3, directories: 5 });
    const turned = await world.whole(service([...paths].reverse(), ['skip']));
    expect(world.names(turned)).toEqual(world.names(captured));
  });

  test('names of globs and newlines stand for themselves', async () => {
    await world.files('[a]*\\/x', 'a/x', 'end\n/y', "it's/z");
    const captured = await world.whole(service(['[a]*\\', 'end\n', "it's"].map((name) => `${dir}/${name}`)));
    expect(world.names(captured)).toHaveLength(6);
    expect(world.names(captured)).toContain('/end\n/y');
  });
});

describe('excludes', () => {
  const all = [
    'a.log',
    'logs/a.log',
    'logs/keep',
    'x/cache/1',
    'x/y/cache/2',
    'cache',
    'x/cache.txt',
    'x/z[1]',
  ];
  test.each<[string, string[], string[]]>([
    ['a name', ['*.log'], ['logs/keep', 'x/cache/1', 'x/y/cache/2', 'cache', 'x/cache.txt', 'x/z[1]']],
    [
      'a name, files and folders alike',
      ['cache'],
      ['a.log', 'logs/a.log', 'logs/keep', 'x/cache.txt', 'x/z[1]'],
    ],
    ['folders only', ['cache/'], ['a.log', 'logs/a.log', 'logs/keep', 'cache', 'x/cache.txt', 'x/z[1]']],
    ['a path at any depth', ['y/cache'], all.filter((path) => path !== 'x/y/cache/2')],
    ['a whole path', ['DIR/src/x'], ['a.log', 'logs/a.log', 'logs/keep', 'cache']],
    ['a whole path with a star', ['DIR/src/x/*/2'], all.filter((path) => path !== 'x/y/cache/2')],
    ['an escaped bracket', ['z\\[1]'], all.filter((path) => path !== 'x/z[1]')],
    ['the root itself never', ['src', 'DIR/src', '/'], all],
    ['a pattern like an option', ['-delete', '!', '(', ')', '-o'], all],
  ])('%s', async (_what, exclude, left) => {
    await world.files(...all.map((path) => `src/${path}`));
    const captured = await world.whole(
      service(
        [join(dir, 'src')],
        exclude.map((one) => one.replace('DIR', dir)),
      ),
    );
    const found = captured.entries.filter((entry) => entry.type === 'file');
    expect(found.map((entry) => `/${entry.path}`.replace(`${dir}/src/`, '')).sort()).toEqual(
      [...left].sort(),
    );
    expect(await readdir(join(dir, 'src'))).toContain('a.log');
  });

  test("a restore's working folder is never part of a backup", async () => {
    await world.files('src/.tarfleet-restore-1/x', 'src/a');
    expect(world.names(await world.whole(service([join(dir, 'src')])))).toEqual(['/src', '/src/a']);
  });

  test('what the kernel makes up is listed, not read', async () => {
    await world.files('src/a');
    const captured = await world.whole(service([join(dir, 'src'), '/proc/self/fdinfo']));
    expect(world.names(captured)).toContain('/src/a');
    expect(world.names(captured).some((name) => name.startsWith('/proc/self/fdinfo'))).toBe(true);
  });
});

test('sockets are told, twenty by name', async () => {
  const servers: Server[] = [];
  await world.files('src/a');
  for (let index = 0; index < 23; index += 1) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(dir, `src/s${index}`), resolve));
    servers.push(server);
  }
  const captured = await world.whole(service([join(dir, 'src')]));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  expect(world.names(captured)).toEqual(['/src', '/src/a']);
  expect(codes(captured)).toEqual(Array(21).fill('SOCKET_SKIPPED'));
  expect(captured.warnings.at(-1)?.message).toMatch(/^3 more/);
});

test('holes take no room', async () => {
  await mkdir(join(dir, 'src'));
  await writeFile(join(dir, 'src/holes'), 'begin');
  await truncate(join(dir, 'src/holes'), 500_000_000);
  const once = await world.whole(service([join(dir, 'src')]));
  expect(once.bytes.length).toBeLessThan(200_000);
  expect(once.entries.find((entry) => entry.size > 0)?.size).toBe(500_000_000);
});

test('the same tree gives the same bytes', async () => {
  await makeRealisticTree(join(dir, 'src'), 1_000_000, 5);
  const once = await world.whole(service([join(dir, 'src')]));
  const again = await world.whole(service([join(dir, 'src')]));
  expect(again.bytes.equals(once.bytes)).toBe(true);
});
