import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFile,
  chmod,
  copyFile,
  link,
  mkdir,
  mkdtemp,
  readFile,
  rename,
  rm,
  stat,
  utimes,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { type IndexEntry, LargeCopyLost } from '@tarfleet/archive';
import { compareTrees, requireTools, snapshotTree, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { createChain, type Link } from '../capture/testing-chain.ts';
import { type ServerKind, startForeignServer } from '../foreign/testing-servers.ts';
import { service, sshSession } from '../testing-sessions.ts';

const run = promisify(execFile);
const LARGE = 9_000_000;
let dir: string;
let tree: string;
let session: Session;
let chain: ReturnType<typeof createChain>;
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-copies-'));
  await chmod(dir, 0o755);
  tree = join(dir, 'src');
  await mkdir(tree);
  await mkdir(join(dir, 'store'));
  chain = createChain(join(dir, 'store'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

/** Beyond what counts as just changed. */
const settle = (): Promise<void> => sleep(3_100);
const at = (name: string): string => join(tree, name);
const put = async (name: string, content: string | Buffer): Promise<void> => {
  await mkdir(join(at(name), '..'), { recursive: true });
  await writeFile(at(name), content);
  await utimes(at(name), 1_700_000_000, 1_700_000_000.25);
};
const named = async (last: Link): Promise<Map<string, IndexEntry>> =>
  new Map(
    (await chain.entriesOf(last)).map((entry) => [entry.path.toString().slice(tree.length + 1), entry]),
  );
const originals = async (last: Link): Promise<[string, string][]> =>
  [...(await named(last))].flatMap(([name, { as }]): [string, string][] =>
    as ? [[name, as.toString().slice(tree.length + 1)]] : [],
  );

async function expectSame(last: Link, name = 'out'): Promise<void> {
  const out = join(dir, name);
  await chain.extract(last, out);
  expect(compareTrees(await snapshotTree(tree), await snapshotTree(join(out, tree)))).toEqual([]);
  await rm(out, { recursive: true });
}

const KINDS = ['GNU tar', 'bsdtar', 'busybox', 'sftp'] as const;
describe.each(KINDS)('on a server with %s', (kind) => {
  let server: { stop(): Promise<void> } & Parameters<typeof sshSession>[0];
  const hashes = kind !== 'sftp';
  beforeAll(async () => {
    server = kind === 'GNU tar' ? await startSshd() : await startForeignServer(kind as ServerKind);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    session = await sshSession(server);
  });
  afterEach(() => session.close());

  test('equal files become hard links of the archive, and come back as separate ones', async () => {
    const content = randomBytes(20_000);
    for (const name of ['a', 'b/c', `b/${'long'.repeat(40)}`, 'd']) await put(name, content);
    await put('e-other-content', randomBytes(20_000));
    await put('f-other-mode', content);
    await chmod(at('f-other-mode'), 0o600);
    await put('g-other-time', content);
    await utimes(at('g-other-time'), 1_700_000_000, 1_600_000_000);
    const large = randomBytes(LARGE);
    for (const name of ['large/1', 'large/2', 'z']) await put(name, large);
    await put('large/other', randomBytes(LARGE));
    for (const name of ['empty-1', 'empty-2']) await put(name, '');
    const full = await chain.take(session, service([tree]), null, 'all');
    expect(full.warnings).toEqual([]);
    expect(await originals(full)).toEqual([
      ['b/c', 'a'],
      [`b/${'long'.repeat(40)}`, 'a'],
      ['d', 'a'],
      ...(hashes
        ? [
            ['large/2', 'large/1'],
            ['z', 'large/1'],
          ]
        : []),
    ]);
    if (kind !== 'sftp') await expectSame(full);
    const out = join(dir, 'some');
    await chain.extract(full, out, (path) => path.toString() === at('z') || path.toString() === at('d'));
    expect((await readFile(join(out, at('d')))).equals(content)).toBe(true);
    expect((await readFile(join(out, at('z')))).equals(large)).toBe(true);
    expect((await stat(join(out, at('d')))).nlink).toBe(1);
  });

  test('GNU tar, bsdtar and busybox extract the archive, with hard links', async () => {
    const tools = await requireTools(['busybox', 'bsdtar']);
    const content = randomBytes(20_000);
    for (const name of ['a', 'b', `${'long'.repeat(40)}`, 'caf\u00e9']) await put(name, content);
    const large = randomBytes(LARGE);
    for (const name of ['large-1', 'large-2']) await put(name, large);
    const full = await chain.take(session, service([tree]), null, 'all');
    for (const [name, ...tar] of [
      ['gnu', 'tar'],
      ['bsd', tools.bsdtar],
      ['busybox', tools.busybox, 'tar'],
    ]) {
      const out = join(dir, name ?? '');
      await mkdir(out);
      const [program = '', ...words] = tar;
      const { stderr } = await run(program, [...words, '-xzf', full.file, '-C', out]);
      if (kind === 'GNU tar') expect(stderr).toBe('');
      await run('diff', ['-r', tree, join(out, tree)]);
      expect((await stat(join(out, at('a')))).nlink).toBe(4);
      expect((await stat(join(out, at('large-1')))).nlink).toBe(hashes ? 2 : 1);
    }
  });

  test('what moved is not stored again, a whole folder or one large file, nor in the next ones', async () => {
    for (let count = 0; count < 200; count += 1) await put(`folder/${count}`, randomBytes(3000));
    await put('large', randomBytes(LARGE));
    await put('log.1', 'one\n'.repeat(1000));
    await put('log', 'two\n'.repeat(1000));
    const what = service([tree]);
    await settle();
    const full = await chain.take(session, what, null);
    await rename(at('folder'), at('renamed'));
    await rename(at('large'), at('renamed/large'));
    await rename(at('log.1'), at('log.2'));
    await rename(at('log'), at('log.1'));
    await settle();
    const second = await chain.take(session, what, full, 'all');
    if (kind === 'sftp') return;
    const folders = ['', '/renamed'].map((name) => `${tree}${name}`);
    expect(second.entries.map((path) => path.replace(/\/$/, ''))).toEqual(folders);
    expect((await stat(second.file)).size).toBeLessThan(5000);
    const entries = await named(second);
    expect(entries.get('renamed/7')?.as?.toString()).toBe(at('folder/7'));
    expect(entries.get('renamed/large')?.as?.toString()).toBe(at('large'));
    expect(entries.get('log.1')?.as?.toString()).toBe(at('log'));
    expect(entries.get('log.2')?.as?.toString()).toBe(at('log.1'));
    await expectSame(second);
    await rename(at('renamed'), at('again'));
    await rename(at('again/large'), at('large'));
    await settle();
    const third = await chain.take(session, what, second);
    expect(third.entries.map((path) => path.replace(/\/$/, ''))).toEqual([tree, at('again')]);
    expect((await named(third)).get('large')).toMatchObject({ as: null, at: { archive: 2 } });
    await expectSame(third);
    const fourth = await chain.take(session, what, third);
    expect(fourth.entries).toEqual([]);
    await expectSame(fourth);
  });
});

describe('with GNU tar', () => {
  let server: Awaited<ReturnType<typeof startSshd>>;
  beforeAll(async () => {
    server = await startSshd();
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    session = await sshSession(server);
  });
  afterEach(() => session.close());

  test('extended attributes and ACLs must be equal', async () => {
    for (const name of ['a', 'b', 'c', 'd', 'e', 'large-1', 'large-2', 'large-3']) {
      await put(name, Buffer.alloc(name.startsWith('large') ? LARGE : 5000, 'x'));
    }
    const attribute = (name: string, value: string) =>
      run('python3', [
        '-c',
        'import os,sys; os.setxattr(sys.argv[1], "user.tag", sys.argv[2].encode())',
        at(name),
        value,
      ]);
    for (const name of ['b', 'd', 'large-2', 'large-3']) await attribute(name, 'one');
    await attribute('c', 'two');
    const what = service([tree]);
    await settle();
    const full = await chain.take(session, what, null, 'all');
    expect(await originals(full)).toEqual([
      ['d', 'b'],
      ['e', 'a'],
      ['large-3', 'large-2'],
    ]);
    await expectSame(full);
    // A rename keeps them; what came with it must be seen.
    for (const name of ['b', 'c', 'large-1', 'large-2']) await rename(at(name), at(`moved-${name}`));
    await attribute('moved-c', 'three');
    await attribute('moved-large-1', 'three');
    await settle();
    const second = await chain.take(session, what, full);
    expect(second.entries).toEqual([`${tree}/`, at('moved-c'), at('moved-large-1')]);
    await expectSame(second);
  });

  test('files with further names keep them; sparse ones and what only looks alike are stored as they are', async () => {
    await put('a', 'content\n'.repeat(500));
    await link(at('a'), at('b'));
    await put('c', 'content\n'.repeat(500));
    await link(at('c'), at('d'));
    await put('e', 'CONTENT\n'.repeat(500));
    await run('truncate', ['-s', '5000000', at('sparse-1'), at('sparse-2')]);
    await run('truncate', ['-s', '50000000', at('sparse-large-1'), at('sparse-large-2')]);
    for (const name of ['sparse-1', 'sparse-2', 'sparse-large-1', 'sparse-large-2']) {
      await utimes(at(name), 5, 5);
    }
    const full = await chain.take(session, service([tree]), null, 'all');
    expect(await originals(full)).toEqual([['c', 'a']]);
    await expectSame(full);
  });

  test('a file that changed between the look at it and its reading is not taken for its copy', async () => {
    for (const name of ['large-1', 'large-2', 'small-1', 'small-2']) {
      await put(name, Buffer.alloc(name.startsWith('large') ? LARGE : 5000, 'x'));
    }
    const what = service([tree]);
    const changing = (change: () => Promise<unknown>): Session => ({
      ...session,
      // The reading is the last command that is started.
      async exec(argv, options) {
        if (argv.includes('--files-from=-') && ++readings > looks) await change();
        return session.exec(argv, options);
      },
    });
    let readings = 0;
    const looks = 2;
    const changed = async (): Promise<void> => {
      const { mtime } = await stat(at('large-1'));
      await appendFile(at('large-1'), 'more');
      await utimes(at('large-1'), mtime, mtime);
      await appendFile(at('small-1'), 'more');
    };
    await expect(chain.take(changing(changed), what, null, 'all')).rejects.toBeInstanceOf(LargeCopyLost);
    expect(readings).toBe(3);
    readings = 0;
    const second = await chain.take(
      changing(() => rm(at('small-2'))),
      what,
      null,
      'small',
    );
    expect(await originals(second)).toEqual([]);
    readings = 0;
    await copyFile(at('large-2'), at('large-1'));
    await run('touch', ['-r', at('large-2'), at('large-1')]);
    await expect(
      chain.take(
        changing(() => rm(at('large-1'))),
        what,
        null,
        'all',
      ),
    ).rejects.toBeInstanceOf(LargeCopyLost);
  });
});
