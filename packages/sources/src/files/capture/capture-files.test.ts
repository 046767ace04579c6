// How a capture goes, over each kind of session, and how it ends when something breaks.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { createWriteStream } from 'node:fs';
import { appendFile, mkdir, readdir, rm, truncate, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { pipeline } from 'node:stream/promises';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { createMemberStream } from '@tarfleet/archive';
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
import {
  calm,
  createTestUser,
  localSession,
  processesWith,
  service,
  sshSession,
  until,
} from '../testing-sessions.ts';
import { type CaptureWorld, createCaptureWorld } from './testing-capture.ts';

const run = promisify(execFile);
let sshd: RunningSshd;
beforeAll(async () => {
  await requireTools(['setfacl', 'setfattr']);
  sshd = await startSshd();
});
afterAll(() => sshd.stop());
let world: CaptureWorld;
let dir: string;
beforeEach(async () => {
  world = await createCaptureWorld();
  dir = world.dir;
});
afterEach(() => world.close());

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
    const captured = await world.start(session, service([join(dir, 'src')]));
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
    expect(await readdir(world.spills)).toEqual([]);
  });

  test('a file that becomes shorter, one that grows and one that vanishes are warnings', async () => {
    for (const change of ['shorter', 'longer']) {
      const base = join(dir, change);
      await mkdir(base);
      // More than all buffers on the way hold: tar waits in the middle of it until somebody reads.
      await writeFile(join(base, 'big'), randomBytes(48_000_000));
      await world.files(`${change}~more/gone`, `${change}~more/folder/inner`, `${change}~more/stays`);
      const captured = await world.start(session, service([base, `${base}~more`]));
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
      await world.assertReadable(bytes);
      expect(world.names(captured)).toContain(`/${change}~more/stays`);
    }
  });

  test('an abort in the middle ends tar on the server and leaves nothing', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const controller = new AbortController();
    const captured = await world.start(session, service([base]), controller.signal);
    const reading = buffer(slowly(captured.tar));
    await until(async () => captured.entries.length > 0);
    expect(await processesWith(base)).not.toEqual([]);
    const reason = new AppError('CANCELLED', 'Cancelled.');
    controller.abort(reason);
    await expect(reading).rejects.toBe(reason);
    await until(async () => (await processesWith(base)).length === 0);
    expect(await readdir(world.spills)).toEqual([]);
  });

  test('a reader that leaves ends tar on the server', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const captured = await world.start(session, service([base]));
    captured.tar.on('error', () => undefined);
    expect(await processesWith(base)).not.toEqual([]);
    captured.tar.destroy();
    await until(async () => (await processesWith(base)).length === 0);
  });

  test('a tar that is killed is an error, never an end', async () => {
    const base = join(dir, `rare-${randomBytes(6).toString('hex')}`);
    await mkdir(base);
    await writeFile(join(base, 'big'), randomBytes(48_000_000));
    const captured = await world.start(session, service([base]));
    const reading = buffer(slowly(captured.tar));
    for (const id of await processesWith(base)) process.kill(id, 'SIGKILL');
    await expect(reading).rejects.toMatchObject({ name: 'AppError', code: 'COMMAND_FAILED' });
  });
});

test('a connection that breaks is an error, never an end', async () => {
  await world.files('src/small');
  await writeFile(join(dir, 'src/big'), randomBytes(48_000_000));
  const session = await sshSession(sshd);
  const captured = await world.start(session, service([join(dir, 'src')]));
  const reading = buffer(slowly(captured.tar));
  await until(async () => captured.entries.length > 0);
  await sshd.cutConnections();
  await expect(reading).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  await session.close();
});

test('what a user may not read is named, the rest is there', async () => {
  const user = await createTestUser();
  try {
    await world.files('src/open', 'src/secret', 'src/closed/inside', 'src/x"y\n\xe9/locked');
    await run('chmod', ['600', join(dir, 'src/secret'), join(dir, 'src/x"y\n\xe9/locked')]);
    await run('chmod', ['700', join(dir, 'src/closed')]);
    const session = await sshSession(sshd, user.name);
    const captured = await world.whole(service([join(dir, 'src')]), session);
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
    expect(world.names(captured)).toContain('/src/open');
    await world.assertReadable(captured.bytes);
  } finally {
    await user.remove();
  }
});

test('a server without GNU tools is told what to install', async () => {
  const session = await localSession();
  const bare: Session = {
    ...session,
    capabilities: async (signal) => ({ ...(await session.capabilities(signal)), tar: null, find: null }),
  };
  await expect(world.start(bare, service([dir]))).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    message: expect.stringMatching(/findutils.*tar/),
  });
  await session.close();
});

test('a list that tar did not get whole is an error', async () => {
  await world.files('src/a', 'src/b');
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
  const captured = await world.start(forgetful, service([join(dir, 'src')]));
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
