import { execFile } from 'node:child_process';
import {
  appendFile,
  chmod,
  lchown,
  link,
  mkdir,
  mkdtemp,
  readdir,
  rename,
  rm,
  symlink,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import { compareTrees, makeNastyTree, makeRealisticTree, snapshotTree } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { localSession, service } from '../testing-sessions.ts';
import { createChain } from './testing-chain.ts';

const run = promisify(execFile);
let dir: string;
let tree: string;
let session: Session;
let chain: ReturnType<typeof createChain>;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-chain-'));
  tree = join(dir, 'src');
  await mkdir(tree);
  await mkdir(join(dir, 'store'));
  chain = createChain(join(dir, 'store'));
  session = await localSession();
});
afterEach(async () => {
  await session.close();
  await rm(dir, { recursive: true, force: true });
});

/** Beyond what counts as just changed. */
const settle = (): Promise<void> => sleep(3_100);
const ours = (paths: string[]): string[] => paths.map((path) => path.replace(tree, '').replace(/\/$/, ''));

async function expectSame(last: Parameters<typeof chain.extract>[0], name: string): Promise<void> {
  const out = join(dir, name);
  await chain.extract(last, out);
  expect(compareTrees(await snapshotTree(tree), await snapshotTree(join(out, tree)))).toEqual([]);
  await rm(out, { recursive: true });
}

test('a full one has an index of everything, from which the tree comes back', async () => {
  await makeNastyTree(join(tree, 'nasty'));
  await makeRealisticTree(join(tree, 'real'), 30_000_000, 1);
  const full = await chain.take(session, service([tree]), null);
  await expectSame(full, 'out');
  expect(await readdir(join(dir, 'store'))).toEqual(expect.arrayContaining(['1.tar.gz', '1.index.gz']));
});

describe('an incremental one', () => {
  test('reads nothing when nothing changed, and what changed otherwise; each gives the tree as it was', async () => {
    await makeNastyTree(join(tree, 'nasty'));
    for (const name of [
      'keep',
      'grow',
      'gone',
      'mode',
      'owner',
      'touch',
      'to-folder',
      'to-link',
      'moved',
      'same-size',
    ])
      await writeFile(join(tree, name), `${name}\n`);
    await mkdir(join(tree, 'folder/inner'), { recursive: true });
    await writeFile(join(tree, 'folder/inner/x'), 'x');
    await mkdir(join(tree, 'to-file'));
    await writeFile(join(tree, 'to-file/y'), 'y');
    const what = service([tree]);
    await settle();
    const full = await chain.take(session, what, null);
    const idle = await chain.take(session, what, full);
    expect(ours(idle.entries)).toEqual([]);
    expect(idle.totals).toMatchObject({ files: 0, bytes: 0 });
    await expectSame(idle, 'idle');

    await appendFile(join(tree, 'grow'), 'more');
    await rm(join(tree, 'gone'));
    await chmod(join(tree, 'mode'), 0o600);
    await lchown(join(tree, 'owner'), 1234, 4321);
    await utimes(join(tree, 'touch'), 1, 1);
    await rm(join(tree, 'to-folder'));
    await mkdir(join(tree, 'to-folder'));
    await writeFile(join(tree, 'to-folder/z'), 'z');
    await rm(join(tree, 'to-link'));
    await symlink('keep', join(tree, 'to-link'));
    await rm(join(tree, 'to-file'), { recursive: true });
    await writeFile(join(tree, 'to-file'), 'now a file');
    await rename(join(tree, 'moved'), join(tree, 'moved-to'));
    await rename(join(tree, 'folder'), join(tree, 'renamed'));
    await writeFile(join(tree, 'same-size'), 'SAME-SIZE\n');
    await utimes(join(tree, 'same-size'), 5, 5);
    await settle();
    const second = await chain.take(session, what, idle);
    expect(ours(second.entries)).toEqual([
      ...['', '/grow', '/mode', '/owner', '/renamed', '/renamed/inner'],
      ...['/same-size', '/to-file', '/to-folder', '/to-folder/z', '/to-link', '/touch'],
    ]);
    await expectSame(second, 'second');
    const third = await chain.take(session, what, second);
    expect(ours(third.entries)).toEqual([]);
    await expectSame(third, 'third');
  });

  test('reads all names of a content of which one came, went or moved with its folder', async () => {
    for (const name of ['a', 'b', 'c', 'd']) await mkdir(join(tree, name));
    for (const [one, two] of [
      ['a/1', 'b/1'],
      ['a/2', 'b/2'],
      ['c/3', 'd/3'],
    ] as const) {
      await writeFile(join(tree, one), one);
      await link(join(tree, one), join(tree, two));
    }
    const what = service([tree]);
    await settle();
    const full = await chain.take(session, what, null);
    // The names' own times do not change when the folder around one of them is renamed, or is excluded.
    await rename(join(tree, 'a'), join(tree, 'z'));
    await settle();
    const second = await chain.take(session, what, full);
    expect(ours(second.entries)).toEqual(['', '/b/1', '/b/2', '/z', '/z/1', '/z/2']);
    await expectSame(second, 'second');
    const before = await snapshotTree(join(tree, 'd'));
    await rename(join(tree, 'c'), join(dir, 'elsewhere'));
    const third = await chain.take(session, what, second);
    expect(ours(third.entries)).toEqual(['', '/d/3']);
    await chain.extract(third, join(dir, 'out'));
    expect(
      compareTrees(before, await snapshotTree(join(dir, 'out', tree, 'd'))).filter(
        (line) => !/links/.test(line),
      ),
    ).toEqual([]);
  });

  test('reads again what changed right before or during the scan before it', async () => {
    await writeFile(join(tree, 'old'), 'old');
    await settle();
    await writeFile(join(tree, 'fresh'), 'one');
    const what = service([tree]);
    const full = await chain.take(session, what, null);
    const second = await chain.take(session, what, full);
    expect(ours(second.entries)).toContain('/fresh');
    expect(ours(second.entries)).not.toContain('/old');
    await settle();
    const third = await chain.take(session, what, second);
    const fourth = await chain.take(session, what, third);
    expect(ours(fourth.entries)).toEqual([]);
    await expectSame(fourth, 'out');
  });

  test('gives any tree back after any changes, ten generations long', async () => {
    await makeRealisticTree(tree, 6_000_000, 7);
    await writeFile(join(tree, 'large'), Buffer.alloc(9_000_000, 'large'));
    const what = service([tree]);
    let last = await chain.take(session, what, null);
    let seed = 99;
    const random = (below: number): number => {
      seed = (seed * 1_103_515_245 + 12_345) % 2 ** 31;
      return seed % below;
    };
    for (let generation = 0; generation < 10; generation += 1) {
      const { stdout } = await run('find', [tree, '-mindepth', '1', '-printf', '%y %p\\n']);
      const paths = stdout
        .trim()
        .split('\n')
        .map((line) => [line[0], line.slice(2)] as const);
      const deduplicate = (['none', 'small', 'all'] as const)[random(3)];
      for (let change = 0; change < 25; change += 1) {
        const [type, path = tree] = paths[random(paths.length)] ?? [];
        const other = paths[random(paths.length)]?.[1] ?? tree;
        const kind = random(9);
        const act =
          kind === 0
            ? rm(path, { recursive: true })
            : kind === 1 && type === 'f'
              ? appendFile(path, String(generation))
              : kind === 2
                ? rename(path, `${other}-${generation}-${change}`)
                : kind === 3 && type === 'f'
                  ? link(path, `${other}.link-${generation}-${change}`)
                  : kind === 4
                    ? lchown(path, random(1000), random(1000))
                    : kind === 5
                      ? writeFile(`${other}.new-${change}`, 'new')
                      : kind >= 7
                        ? run('cp', ['-a', path, `${other}.copy-${generation}-${change}`])
                        : symlink('nowhere', `${other}.sym-${generation}-${change}`);
        // Many are not possible any more, and some never were: that is as good.
        await act.catch(() => undefined);
      }
      const before = last;
      last = await chain.take(session, what, before, deduplicate);
      expect(last.warnings).toEqual([]);
      const { lines, slowly } = await chain.linesOf(last, before);
      expect(lines).toEqual(slowly);
      await expectSame(last, `out-${generation}`);
    }
  });
});

test('one file is read from the members it lies in, and a further name of a content with the first', async () => {
  await makeRealisticTree(tree, 20_000_000, 3);
  await writeFile(join(tree, 'wanted'), 'wanted');
  const full = await chain.take(session, service([tree]), null);
  await chain.extract(full, join(dir, 'out'), (path) => path.toString() === join(tree, 'wanted'));
  expect(await readdir(join(dir, 'out', tree))).toEqual(['wanted']);
});
