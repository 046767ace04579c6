import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import {
  appendFile,
  chmod,
  lchown,
  link,
  mkdir,
  mkdtemp,
  rename,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TarEntry } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import {
  compareTrees,
  makeNastyTree,
  makeRealisticTree,
  requireTools,
  snapshotTree,
  type TreeEntry,
} from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { Capture, SourceWarning } from '../../types.ts';
import { captureFiles } from '../capture/capture-files.ts';
import { createChain } from '../capture/testing-chain.ts';
import { findTools } from '../restore/tools.ts';
import { calm, createTestUser, service, sshSession, until } from '../testing-sessions.ts';
import { type ForeignServer, type ServerKind, startForeignServer } from './testing-servers.ts';

const run = promisify(execFile);
let dir: string;
let tree: string;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
});
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-foreign-'));
  await run('chmod', ['755', dir]);
  tree = join(dir, 'src');
  await mkdir(tree);
  await mkdir(join(dir, 'spills'));
});
afterEach(() => rm(dir, { recursive: true, force: true }));

interface Captured extends Capture {
  warnings: SourceWarning[];
  entries: TarEntry[];
}

async function start(session: Session, what: ServiceTarget): Promise<Captured> {
  const warnings: SourceWarning[] = [];
  const entries: TarEntry[] = [];
  const capture = await captureFiles(
    { tmpDir: join(dir, 'spills') },
    {
      ...{ session, service: what, signal: calm(), parent: null, deduplicate: 'none' },
      warn: (warning) => warnings.push(warning),
      onEntry: (entry) => entries.push(entry),
    },
  );
  return { ...capture, warnings, entries };
}

/** What servers of this kind cannot tell, and is therefore not compared. */
const UNKNOWN: Record<ServerKind, (keyof TreeEntry)[]> = {
  bsdtar: [],
  'busybox with bsdtar': [],
  busybox: ['xattrs'],
  sftp: ['xattrs', 'mtimeNs', 'sameAs', 'rdev'],
};

/** The tree without what is unknown; of times that are only seconds, those are compared. */
function known(kind: ServerKind, entries: TreeEntry[]): TreeEntry[] {
  return entries
    .filter((entry) => kind !== 'sftp' || !/device/.test(entry.type))
    .map((entry) => {
      const masked = { ...entry };
      for (const field of UNKNOWN[kind]) masked[field] = '';
      if (kind === 'sftp') masked.mtimeNs = String(BigInt(entry.mtimeNs) / 1_000_000_000n);
      return masked;
    });
}

async function extract(bytes: Buffer): Promise<string> {
  const file = join(dir, 'a.tar');
  await writeFile(file, bytes);
  const out = join(dir, 'out');
  await mkdir(out);
  // Of each header that only bsdtar knows, GNU tar says a line.
  const { stderr } = await run('tar', ['xpf', file, '--xattrs', '--xattrs-include=*', '--acls', '-C', out], {
    maxBuffer: 1 << 26,
  });
  expect(stderr.split('\n').filter((line) => line && !/Ignoring unknown extended header/.test(line))).toEqual(
    [],
  );
  return join(out, tree);
}

const codes = (captured: Captured): string[][] =>
  captured.warnings.map(({ code, path }) => [code, path?.toString().replace(dir, '') ?? '']).sort();

const KINDS: ServerKind[] = ['bsdtar', 'busybox', 'busybox with bsdtar', 'sftp'];
describe.each(KINDS)('on a server of kind %s', (kind) => {
  let server: ForeignServer;
  let session: Session;
  beforeAll(async () => {
    server = await startForeignServer(kind);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    session = await sshSession(server);
  });
  afterEach(() => session.close());

  test('GNU tar gives the same tree back', async () => {
    await makeNastyTree(join(tree, 'nasty'));
    await makeRealisticTree(join(tree, 'real'), 10_000_000, 1);
    const before = await snapshotTree(tree);
    const captured = await start(session, service([tree]));
    const out = await extract(await buffer(captured.tar));
    expect(compareTrees(known(kind, before), known(kind, await snapshotTree(out)))).toEqual([]);
    expect(codes(captured)).toEqual(kind === 'sftp' ? [['KIND_SKIPPED', '/src/nasty/null-device']] : []);
    const { files: count, directories, other, bytes } = captured.totals;
    expect(count + directories + other).toBe(captured.entries.length);
    expect(bytes).toBe(captured.entries.reduce((sum, entry) => sum + entry.size, 0));
    await captured.close();
  });

  test('a file that becomes shorter, one that grows and one that vanishes are warnings', async () => {
    for (const change of ['shorter', 'longer']) {
      const base = join(dir, change);
      await mkdir(base);
      // More than all buffers on the way hold, so that it is still being read when it changes.
      await writeFile(join(base, 'big'), randomBytes(48_000_000));
      // More than is opened ahead of its turn.
      for (let count = 0; count < 400; count += 1) await writeFile(join(base, `fill-${count}`), '');
      await mkdir(`${base}~more/folder`, { recursive: true });
      for (const name of ['gone', 'folder/inner', 'stays']) await writeFile(join(`${base}~more`, name), name);
      const captured = await start(session, service([base, `${base}~more`]));
      void captured.tar.read(0);
      await until(async () => captured.entries.some((entry) => entry.path.toString().endsWith('/big')));
      if (change === 'shorter') await truncate(join(base, 'big'), 20_000_000);
      else await appendFile(join(base, 'big'), 'more');
      await unlink(join(`${base}~more`, 'gone'));
      await rm(join(`${base}~more`, 'folder'), { recursive: true });
      const bytes = await buffer(captured.tar);
      expect(codes(captured)).toEqual([
        [change === 'shorter' ? 'FILE_SHRANK' : 'FILE_CHANGED', `/${change}/big`],
        ['FILE_VANISHED', `/${change}~more/folder`],
        ['FILE_VANISHED', `/${change}~more/folder/inner`],
        ['FILE_VANISHED', `/${change}~more/gone`],
      ]);
      await writeFile(join(dir, 'check.tar'), bytes);
      await run('tar', ['tf', join(dir, 'check.tar')]);
      const big = captured.entries.find((entry) => entry.path.toString().endsWith('/big'));
      expect(big?.size).toBe(48_000_000);
      expect(captured.entries.some((entry) => entry.path.toString().endsWith('/stays'))).toBe(true);
      await captured.close();
    }
  });

  test('what cannot be read is a warning, and only that', async () => {
    const user = await createTestUser();
    const own = await sshSession(server, user.name);
    try {
      for (const name of ['open', 'closed-folder/x', 'closed', 'last']) {
        await mkdir(join(tree, name, '..'), { recursive: true });
        await writeFile(join(tree, name), name);
      }
      await chmod(join(tree, 'closed-folder'), 0o700);
      await chmod(join(tree, 'closed'), 0o600);
      const captured = await start(own, service([tree]));
      await extract(await buffer(captured.tar));
      const told = codes(captured).filter(([, path]) => path !== '');
      expect(told).toEqual([
        ['FILE_UNREADABLE', '/src/closed'],
        ['FILE_UNREADABLE', '/src/closed-folder'],
      ]);
      const paths = captured.entries.map((entry) => `/${entry.path.toString()}`.replace(tree, '')).sort();
      expect(paths).toEqual(['/', '/closed-folder/', '/last', '/open']);
      await captured.close();
    } finally {
      await own.close();
      await user.remove();
    }
  });

  // Many times what is listed or read in one batch.
  test('5,000 files, excludes, and roots inside each other', async () => {
    for (let folder = 0; folder < 40; folder += 1) {
      await mkdir(join(tree, `f${folder}/cache`), { recursive: true });
      await writeFile(join(tree, `f${folder}/cache/left out`), 'x');
      await Promise.all(
        Array.from({ length: 125 }, (_none, file) => writeFile(join(tree, `f${folder}/${file}`), `${file}`)),
      );
    }
    await mkdir(join(tree, 'f1/cache/kept/deep'), { recursive: true });
    await writeFile(join(tree, 'f1/cache/kept/deep/x'), 'x');
    const captured = await start(
      session,
      service([tree, join(tree, 'f1/cache/kept')], ['cache/', '/*/f2/1[0-9]']),
    );
    const out = await extract(await buffer(captured.tar));
    const { stdout } = await run('find', [out, '-type', 'f', '-printf', '%P\\n'], { maxBuffer: 1 << 24 });
    const found = stdout.trim().split('\n');
    expect(found).toHaveLength(5_000 - 10 + 1);
    expect(found).toContain('f1/cache/kept/deep/x');
    expect(found.filter((path) => /left out|^f2\/1\d$/.test(path))).toEqual([]);
    expect(captured.warnings).toEqual([]);
    await captured.close();
  }, 300_000);

  test('incremental ones read what changed, and give the tree as it was', async () => {
    const chain = createChain(join(dir, 'spills'));
    const old = async (): Promise<void> => {
      // SFTP does not tell the server's time: what is an hour old is left alone.
      await run('find', [dir, '-exec', 'touch', '-h', '-d', '2020-02-02T02:02:02.25Z', '{}', '+']);
      await sleep(3_100);
    };
    const expectSame = async (last: Awaited<ReturnType<typeof chain.take>>, name: string): Promise<void> => {
      await chain.extract(last, join(dir, name));
      const after = known(kind, await snapshotTree(join(dir, name, tree)));
      expect(compareTrees(known(kind, await snapshotTree(tree)), after)).toEqual([]);
    };
    await makeNastyTree(join(tree, 'nasty'));
    for (const name of ['grow', 'gone', 'mode', 'owner', 'to-folder', 'to-link', 'moved', 'link-1']) {
      await writeFile(join(tree, name), `${name}\n`);
    }
    await link(join(tree, 'link-1'), join(tree, 'link-2'));
    await old();
    const what = service([tree]);
    const full = await chain.take(session, what, null);
    await expectSame(full, 'out-1');
    const idle = await chain.take(session, what, full);
    // libarchive writes the mode of a file that has an ACL without the ACL's mask: it never looks like what is there.
    const again = kind.endsWith('bsdtar') ? ['/nasty/foreign folder/heir'] : [];
    expect(idle.entries.map((path) => path.replace(tree, ''))).toEqual(again);
    await appendFile(join(tree, 'grow'), 'more');
    await rm(join(tree, 'gone'));
    await chmod(join(tree, 'mode'), 0o600);
    await lchown(join(tree, 'owner'), 1234, 4321);
    await rm(join(tree, 'to-folder'));
    await mkdir(join(tree, 'to-folder'));
    await writeFile(join(tree, 'to-folder/z'), 'z');
    await rm(join(tree, 'to-link'));
    await symlink('keep', join(tree, 'to-link'));
    await rename(join(tree, 'moved'), join(tree, 'moved-to'));
    await rm(join(tree, 'link-2'));
    await sleep(3_100);
    const second = await chain.take(session, what, idle);
    const paths = second.entries.map((path) => path.replace(tree, '').replace(/\/$/, '')).sort();
    expect(paths).toEqual(
      [
        ...['', '/grow'],
        ...(kind === 'sftp' ? [] : ['/link-1']),
        // What moved is known by its inode, of which SFTP does not tell.
        ...(kind === 'sftp' ? ['/moved-to'] : []),
        ...['/mode', '/owner', '/to-folder'],
        ...['/to-folder/z', '/to-link'],
        ...again,
      ].sort(),
    );
    await expectSame(second, 'out-2');
  }, 120_000);
});

test('a restore to a server without GNU tools says what is missing', async () => {
  for (const kind of ['busybox', 'sftp'] as const) {
    const server = await startForeignServer(kind);
    const session = await sshSession(server);
    await expect(findTools(session, calm())).rejects.toMatchObject({ code: 'TOOL_MISSING' });
    await session.close();
    await server.stop();
  }
});
