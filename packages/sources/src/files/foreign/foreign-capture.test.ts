import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { appendFile, mkdir, mkdtemp, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
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
      ...{ session, service: what, signal: calm(), parent: null },
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
  await run('tar', ['xpf', file, '--xattrs', '--xattrs-include=*', '--acls', '-C', out]);
  return join(out, tree);
}

const codes = (captured: Captured): string[][] =>
  captured.warnings.map(({ code, path }) => [code, path?.toString().replace(dir, '') ?? '']).sort();

const KINDS = (process.env.TARFLEET_KINDS?.split(',') ?? ['bsdtar', 'sftp']) as ServerKind[];
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
});
void [appendFile, createChain, createTestUser];
