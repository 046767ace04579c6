import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import {
  appendFile,
  mkdir,
  mkdtemp,
  readdir,
  rm,
  symlink,
  truncate,
  unlink,
  writeFile,
} from 'node:fs/promises';
import { createServer, type Server } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import {
  createMemberStream,
  createTarWalker,
  decodeRootList,
  type IndexedEntry,
  type TarEntry,
} from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import {
  compareTrees,
  makeNastyTree,
  makeRealisticTree,
  type RunningSshd,
  requireTools,
  snapshotTree,
  startSshd,
} from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { Capture, SourceWarning } from '../../types.ts';
import {
  calm,
  createTestUser,
  localSession,
  processesWith,
  service,
  sshSession,
  until,
} from '../testing-sessions.ts';
import { captureFiles } from './capture-files.ts';

const run = promisify(execFile);
let dir: string;
let spills: string;
let sshd: RunningSshd;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-capture-'));
  await run('chmod', ['755', dir]);
  spills = join(dir, 'spills');
  await mkdir(spills);
});
afterEach(() => rm(dir, { recursive: true, force: true }));

interface Captured extends Capture {
  warnings: SourceWarning[];
  entries: TarEntry[];
}

async function start(
  session: Session,
  what: ServiceTarget,
  signal = calm(),
  parent: AsyncGenerator<IndexedEntry[]> | null = null,
): Promise<Captured> {
  const warnings: SourceWarning[] = [];
  const entries: TarEntry[] = [];
  const capture = await captureFiles(
    { tmpDir: spills },
    {
      session,
      service: what,
      signal,
      warn: (warning) => warnings.push(warning),
      onEntry: (entry) => entries.push(entry),
      parent,
      deduplicate: 'none',
    },
  );
  return { ...capture, warnings, entries };
}

async function whole(what: ServiceTarget, session?: Session): Promise<Captured & { bytes: Buffer }> {
  const own = session ?? (await localSession());
  try {
    const captured = await start(own, what);
    return { ...captured, bytes: await buffer(captured.tar) };
  } finally {
    if (!session) await own.close();
  }
}

const names = (captured: Captured): string[] =>
  captured.entries
    .map((entry) => `/${entry.path.toString('latin1')}`.replace(/\/$/, '').replace(dir, ''))
    .sort();
const codes = (captured: Captured): string[] => captured.warnings.map((warning) => warning.code);

async function files(...paths: string[]): Promise<void> {
  for (const path of paths) {
    await mkdir(join(dir, path, '..'), { recursive: true });
    await writeFile(join(dir, path), path);
  }
}

describe.each(['local', 'ssh'])('over a session of kind %s', (kind) => {
  let session: Session;
  beforeEach(async () => {
    session = kind === 'local' ? await localSession() : await sshSession(sshd);
  });
  afterEach(() => session.close());

  test('plain tar xzf gives the same tree back', async () => {
    await makeNastyTree(join(dir, 'src/nasty'));
    await makeRealisticTree(join(dir, 'src/real'), 30_000_000, 1);
    const before = await snapshotTree(join(dir, 'src'));
    const captured = await start(session, service([join(dir, 'src')]));
    const archive = join(dir, 'a.tar.gz');
    const members = createMemberStream({ enabled: true, level: 1, parallel: 2 }, calm());
    await pipeline(captured.tar, members, createWriteStream(archive));
    await mkdir(join(dir, 'out'));
    await run('tar', ['xpzf', archive, '--xattrs', '--xattrs-include=*', '--acls', '-C', join(dir, 'out')]);
    expect(compareTrees(before, await snapshotTree(join(dir, 'out', dir, 'src')))).toEqual([]);
    expect(captured.warnings).toEqual([]);
    const { files: count, directories, other } = captured.totals;
    expect(count + directories + other).toBe(captured.entries.length);
    expect(count + directories + other).toBe(before.length);
    const content = captured.entries.reduce((sum, entry) => sum + entry.size, 0);
    expect(captured.totals.bytes).toBe(content);
    expect(await readdir(spills)).toEqual([]);
  });

  test('a file that becomes shorter, one that grows and one that vanishes are warnings', async () => {
    for (const change of ['shorter', 'longer']) {
      const base = join(dir, change);
      await mkdir(base);
      // More than all buffers on the way hold: tar waits in the middle of it until somebody reads.
      await writeFile(join(base, 'big'), randomBytes(48_000_000));
      await files(`${change}~more/gone`, `${change}~more/folder/inner`, `${change}~more/stays`);
      const captured = await start(session, service([base, `${base}~more`]));
      await until(async () => captured.entries.some((entry) => entry.path.toString().endsWith('/big')));
      if (change === 'shorter') await truncate(join(base, 'big'), 20_000_000);
      else await appendFile(join(base, 'big'), 'more');
      await unlink(join(`${base}~more`, 'gone'));
      await rm(join(`${base}~more`, 'folder'), { recursive: true });
      const bytes = await buffer(captured.tar);
      const told = captured.warnings
        .map(({ code, path }) => [code, path?.toString().replace(base, '')])
        .sort();
      expect(told).toEqual([
        [change === 'shorter' ? 'FILE_SHRANK' : 'FILE_CHANGED', '/big'],
        ['FILE_VANISHED', '~more/folder'],
        ['FILE_VANISHED', '~more/folder/inner'],
        ['FILE_VANISHED', '~more/gone'],
      ]);
      await assertReadable(bytes);
      expect(names(captured)).toContain(`/${change}~more/stays`);
    }
  });

  test('an abort in the middle ends tar on the server and leaves nothing', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const controller = new AbortController();
    const captured = await start(session, service([base]), controller.signal);
    const reading = buffer(slowly(captured.tar));
    await until(async () => captured.entries.length > 0);
    expect(await processesWith(base)).not.toEqual([]);
    const reason = new AppError('CANCELLED', 'Cancelled.');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await until(async () => (await processesWith(base)).length === 0);
    expect(await readdir(spills)).toEqual([]);
  });

  test('a reader that leaves ends tar on the server', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const captured = await start(session, service([base]));
    captured.tar.on('error', () => undefined);
    expect(await processesWith(base)).not.toEqual([]);
    captured.tar.destroy();
    await until(async () => (await processesWith(base)).length === 0);
  });

  test('a tar that is killed is an error, never an end', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const captured = await start(session, service([base]));
    const reading = buffer(slowly(captured.tar));
    for (const id of await processesWith(base)) process.kill(id, 'SIGKILL');
    await expect(reading).rejects.toMatchObject({ name: 'AppError', code: 'COMMAND_FAILED' });
  });
});

test('a connection that breaks is an error, never an end', async () => {
  await files('src/small');
  await writeFile(join(dir, 'src/big'), randomBytes(48_000_000));
  const session = await sshSession(sshd);
  const captured = await start(session, service([join(dir, 'src')]));
  const reading = buffer(slowly(captured.tar));
  await until(async () => captured.entries.length > 0);
  await sshd.cutConnections();
  await expect(reading).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  await session.close();
});

test('what a user may not read is named, the rest is there', async () => {
  const user = await createTestUser();
  try {
    await files('src/open', 'src/secret', 'src/closed/inside', 'src/x"y\n\xe9/locked');
    await run('chmod', ['600', join(dir, 'src/secret'), join(dir, 'src/x"y\n\xe9/locked')]);
    await run('chmod', ['700', join(dir, 'src/closed')]);
    const session = await sshSession(sshd, user.name);
    const captured = await whole(service([join(dir, 'src')]), session);
    await session.close();
    const told = captured.warnings
      .map(({ code, path }) => `${code} ${path?.toString().replace(dir, '')}`)
      .sort();
    expect(told).toEqual([
      'FILE_UNREADABLE /src/closed',
      'FILE_UNREADABLE /src/secret',
      'FILE_UNREADABLE /src/x"y\n\xe9/locked',
    ]);
    const unreadable = captured
      .unreadable()
      ?.map((path) => `FILE_UNREADABLE ${path.toString().replace(dir, '')}`);
    expect(unreadable?.sort()).toEqual(told);
    expect(names(captured)).toContain('/src/open');
    await assertReadable(captured.bytes);
  } finally {
    await user.remove();
  }
});

describe('roots', () => {
  test('a missing one is a warning, all missing an error, none at all an empty archive', async () => {
    await files('src/a');
    const captured = await whole(service([join(dir, 'src'), join(dir, 'nowhere')]));
    expect(codes(captured)).toEqual(['PATH_NOT_FOUND']);
    expect(captured.warnings[0]?.path?.toString()).toBe(join(dir, 'nowhere'));
    await expect(whole(service([join(dir, 'nowhere'), join(dir, 'src/a/b')]))).rejects.toMatchObject({
      code: 'PATH_NOT_FOUND',
    });
    const empty = await whole(service([]));
    expect(empty.totals).toEqual({ files: 0, directories: 0, other: 0, bytes: 0 });
    await assertReadable(empty.bytes);
    await mkdir(join(dir, 'empty'));
    expect(names(await whole(service([join(dir, 'empty')])))).toEqual(['/empty']);
  });

  test('a link to a folder or file brings both; a dangling one is told', async () => {
    await files('real/a', 'conf');
    await symlink('real', join(dir, 'to-dir'));
    await symlink(join(dir, 'conf'), join(dir, 'to-file'));
    await symlink('nothing', join(dir, 'dangling'));
    const captured = await whole(service(['to-dir', 'to-file', 'dangling'].map((name) => join(dir, name))));
    expect(names(captured)).toEqual(['/conf', '/dangling', '/real', '/real/a', '/to-dir', '/to-file']);
    expect(codes(captured)).toEqual(['LINK_DANGLING']);
    await expect(rootsOf(captured.bytes)).resolves.toEqual([
      ['symlink', '/to-dir'],
      ['directory', '/real'],
      ['symlink', '/to-file'],
      ['other', '/conf'],
      ['symlink', '/dangling'],
    ]);
  });

  test('one inside another is read once, also where the other excludes it', async () => {
    await files('src/a', 'src/skip/b', 'src/skip/deep/keep/c', 'src/skip/deep/d', 'src/in/e');
    const paths = ['src', 'src/skip/deep/keep', 'src/in', 'src/', 'src/./in'].map((path) => `${dir}/${path}`);
    const captured = await whole(service(paths, ['skip']));
    expect(names(captured)).toEqual([
      ...['/src', '/src/a', '/src/in', '/src/in/e', '/src/skip', '/src/skip/deep'],
      ...['/src/skip/deep/keep', '/src/skip/deep/keep/c'],
    ]);
    expect(captured.totals).toMatchObject({ files: 3, directories: 5 });
    const turned = await whole(service([...paths].reverse(), ['skip']));
    expect(names(turned)).toEqual(names(captured));
  });

  test('names of globs and newlines stand for themselves', async () => {
    await files('[a]*\\/x', 'a/x', 'end\n/y', "it's/z");
    const captured = await whole(service(['[a]*\\', 'end\n', "it's"].map((name) => `${dir}/${name}`)));
    expect(names(captured)).toHaveLength(6);
    expect(names(captured)).toContain('/end\n/y');
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
    await files(...all.map((path) => `src/${path}`));
    const captured = await whole(
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
    await files('src/.tarfleet-restore-1/x', 'src/a');
    expect(names(await whole(service([join(dir, 'src')])))).toEqual(['/src', '/src/a']);
  });

  test('what the kernel makes up is listed, not read', async () => {
    await files('src/a');
    const captured = await whole(service([join(dir, 'src'), '/proc/self/fdinfo']));
    expect(names(captured)).toContain('/src/a');
    expect(names(captured).some((name) => name.startsWith('/proc/self/fdinfo'))).toBe(true);
  });
});

test('sockets are told, twenty by name', async () => {
  const servers: Server[] = [];
  await files('src/a');
  for (let index = 0; index < 23; index += 1) {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(join(dir, `src/s${index}`), resolve));
    servers.push(server);
  }
  const captured = await whole(service([join(dir, 'src')]));
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  expect(names(captured)).toEqual(['/src', '/src/a']);
  expect(codes(captured)).toEqual(Array(21).fill('SOCKET_SKIPPED'));
  expect(captured.warnings.at(-1)?.message).toMatch(/^3 more/);
});

test('holes take no room', async () => {
  await mkdir(join(dir, 'src'));
  await writeFile(join(dir, 'src/holes'), 'begin');
  await truncate(join(dir, 'src/holes'), 500_000_000);
  const once = await whole(service([join(dir, 'src')]));
  expect(once.bytes.length).toBeLessThan(200_000);
  expect(once.entries.find((entry) => entry.size > 0)?.size).toBe(500_000_000);
});

test('the same tree gives the same bytes', async () => {
  await makeRealisticTree(join(dir, 'src'), 1_000_000, 5);
  const once = await whole(service([join(dir, 'src')]));
  const again = await whole(service([join(dir, 'src')]));
  expect(again.bytes.equals(once.bytes)).toBe(true);
});

test('a server without GNU tools is told what to install', async () => {
  const session = await localSession();
  const bare: Session = {
    ...session,
    capabilities: async (signal) => ({ ...(await session.capabilities(signal)), tar: null, find: null }),
  };
  await expect(start(bare, service([dir]))).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    message: expect.stringMatching(/findutils.*tar/),
  });
  await session.close();
});

test('a list that tar did not get whole is an error', async () => {
  await files('src/a', 'src/b');
  const session = await localSession();
  const forgetful: Session = {
    ...session,
    async exec(argv, options) {
      const process = await session.exec(argv, options);
      if (argv[0] !== 'tar') return process;
      const { stdin } = process;
      const write = stdin.write.bind(stdin);
      stdin.write = ((chunk: Buffer, ...rest: []) =>
        write(chunk.subarray(0, chunk.indexOf(0) + 1), ...rest)) as never;
      return process;
    },
  };
  const captured = await start(forgetful, service([join(dir, 'src')]));
  await expect(buffer(captured.tar)).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/left out 2 of 3/),
  });
  await session.close();
});

/** As a destination that takes its time: reads nothing until asked, then a little each turn. */
async function* slowlyParts(stream: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    await new Promise((resolve) => setTimeout(resolve, 5));
    yield chunk;
  }
}
function slowly(stream: Readable): AsyncIterable<Buffer> & NodeJS.ReadableStream {
  return slowlyParts(stream) as never;
}

async function assertReadable(bytes: Buffer): Promise<void> {
  const file = join(dir, 'check.tar');
  await writeFile(file, bytes);
  await run('tar', ['tf', file], { maxBuffer: 1 << 26 });
}

async function rootsOf(bytes: Buffer): Promise<string[][]> {
  let found: string[][] = [];
  const walker = createTarWalker({
    onEntry: () => undefined,
    onComment(comment) {
      found = (decodeRootList(comment) ?? []).map((root) => [
        root.type,
        root.path.toString().replace(dir, ''),
      ]);
    },
  });
  walker.end(bytes);
  await buffer(walker);
  return found;
}
