// Captures without GNU tools that end in the middle: an error that says so, and nothing goes on anywhere.
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import type { TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { ServerCommand } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import type { Capture } from '../../types.ts';
import { captureFiles } from '../capture/capture-files.ts';
import { calm, service, sshSession, until } from '../testing-sessions.ts';
import { type ForeignServer, type ServerKind, startForeignServer } from './testing-servers.ts';

const KINDS: ServerKind[] = ['bsdtar', 'busybox', 'busybox with bsdtar', 'sftp'];
/** More than all buffers between a server and whoever reads slowly. */
const BIG = 48_000_000;

let dir: string;
let tree: string;
let spills: string;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-breaks-'));
  tree = join(dir, 'src');
  await mkdir(join(tree, 'many'), { recursive: true });
  await writeFile(join(tree, 'big'), randomBytes(BIG));
  for (let count = 0; count < 3000; count += 1) await writeFile(join(tree, `many/${count}`), 'x');
});
afterAll(() => rm(dir, { recursive: true, force: true }));

describe.each(KINDS)('on a server of kind %s', (kind) => {
  let server: ForeignServer;
  let session: Session;
  beforeAll(async () => {
    server = await startForeignServer(kind);
  });
  afterAll(() => server.stop());
  beforeEach(async () => {
    spills = await mkdtemp(join(dir, 'spills-'));
    session = await sshSession(server);
  });
  afterEach(async () => {
    await session.close();
    await until(async () => (await server.commands()).length === 0);
    expect(await readdir(spills)).toEqual([]);
  });

  interface Started extends Capture {
    entries: TarEntry[];
    warnings: string[];
  }
  async function start(signal = calm(), over: Session = session): Promise<Started> {
    const entries: TarEntry[] = [];
    const warnings: string[] = [];
    const capture = await captureFiles(
      { tmpDir: spills },
      {
        ...{ session: over, service: service([tree]), signal, parent: null, deduplicate: 'none' },
        warn: ({ code }) => warnings.push(code),
        onEntry: (entry) => entries.push(entry),
      },
    );
    return { ...capture, entries, warnings };
  }

  /** Reads as a slow destination does; gives how much came. It never ends well. */
  async function drain(tar: Readable): Promise<{ bytes: number; error: unknown }> {
    let bytes = 0;
    try {
      for await (const chunk of tar as AsyncIterable<Buffer>) {
        bytes += chunk.length;
        await sleep(5);
      }
    } catch (error) {
      return { bytes, error };
    }
    throw new Error(`It ended as if it were whole, after ${bytes} bytes.`);
  }

  const inBig = async ({ entries }: Started): Promise<void> =>
    until(async () => entries.some(({ path }) => path.toString().endsWith('/big')));
  const noneLeft = (): Promise<void> => until(async () => (await server.commands()).length === 0);

  test('a connection that is cut while it reads', async () => {
    const capture = await start();
    const draining = drain(capture.tar);
    await inBig(capture);
    await server.cutConnections();
    const { bytes, error } = await draining;
    expect(error).toMatchObject({ name: 'AppError', code: 'CONNECTION_LOST', retryable: true });
    expect(bytes).toBeLessThan(BIG);
    await capture.close();
    await noneLeft();
  });

  test('a connection that is cut while it lists', async () => {
    let cut = false;
    // Whatever it asks for next when it has begun, the server has gone away.
    const cutting: Session = {
      ...session,
      async exec(argv, options) {
        const child = await session.exec(argv, options);
        if (!cut) await server.cutConnections();
        cut = true;
        return child;
      },
      async sftp(signal) {
        const files = await session.sftp(signal);
        return {
          ...files,
          async *list(path) {
            if (!cut) await server.cutConnections();
            cut = true;
            yield* files.list(path);
          },
        };
      },
    };
    await expect(start(calm(), cutting)).rejects.toMatchObject({
      ...{ name: 'AppError', code: 'CONNECTION_LOST', retryable: true },
    });
    expect(cut).toBe(true);
    await noneLeft();
  });

  test('a worker that aborts', async () => {
    const reason = new AppError('CANCELLED', 'The job was cancelled.');
    const controller = new AbortController();
    const capture = await start(controller.signal);
    const draining = drain(capture.tar);
    await inBig(capture);
    controller.abort(reason);
    expect((await draining).error).toBe(reason);
    await noneLeft();
    await capture.close();
    // The connection serves whoever comes next.
    if (kind !== 'sftp') expect((await session.run(['true'], { signal: calm() })).code).toBe(0);
  });

  test('a worker that aborts while it lists', async () => {
    const reason = new AppError('CANCELLED', 'The job was cancelled.');
    const controller = new AbortController();
    const aborting: Session = {
      ...session,
      async exec(argv, options) {
        const child = await session.exec(argv, options);
        controller.abort(reason);
        return child;
      },
      async sftp(signal) {
        const files = await session.sftp(signal);
        return {
          ...files,
          async *list(path) {
            controller.abort(reason);
            yield* files.list(path);
          },
        };
      },
    };
    await expect(start(controller.signal, aborting)).rejects.toBe(reason);
    await noneLeft();
  });

  test('a reader that leaves', async () => {
    const capture = await start();
    for await (const _chunk of capture.tar) break;
    expect(capture.tar.destroyed).toBe(true);
    await noneLeft();
    await capture.close();
  });

  if (kind === 'sftp') return;

  const is = (program: string) => (command: ServerCommand) => {
    const words = command.line.split('\0');
    return [words[0], words[1]].some((word) => word === program || word?.endsWith(`/${program}`));
  };
  const reader = kind === 'busybox' ? 'cat' : 'tar';

  test.each([reader, ...(kind === 'busybox' ? ['sh', 'xargs'] : [])])(
    'its %s, killed while it reads',
    async (program) => {
      const capture = await start();
      const draining = drain(capture.tar);
      await inBig(capture);
      let killed = 0;
      await until(async () => {
        for (const { pid } of (await server.commands()).filter(is(program))) killed += kill(pid);
        return killed > 0;
      });
      const { bytes, error } = await draining;
      expect(error).toMatchObject({ name: 'AppError', retryable: true });
      expect((error as AppError).code).toMatch(/^(COMMAND_FAILED|CONNECTION_LOST)$/);
      expect(bytes).toBeLessThan(BIG);
      await noneLeft();
      await capture.close();
    },
  );

  /** In its place one that is killed after so many bytes of its output; gives back the other. */
  async function dying(program: string, bytes: number): Promise<() => Promise<void>> {
    const [own, real] = [join(server.bin, program), join(server.bin, '.real')];
    await mkdir(real, { recursive: true });
    await rename(own, join(real, program));
    const script = `#!/bin/sh\n"\${0%/*}/.real/${program}" "$@" | /usr/bin/head -c ${bytes}\nkill -KILL $$\n`;
    await writeFile(own, script, { mode: 0o755 });
    return () => rename(join(real, program), own);
  }

  const listers = kind.startsWith('busybox') ? ['find', 'xargs', 'stat'] : ['find'];
  test.each(
    listers.flatMap(
      (program) =>
        [
          [program, 0],
          [program, 5000],
        ] as const,
    ),
  )('its %s, killed after %d bytes of its list', async (program, bytes) => {
    // What the server has is found out before.
    await session.capabilities(calm());
    const revive = await dying(program, bytes);
    try {
      await expect(start()).rejects.toMatchObject({
        ...{ name: 'AppError', code: 'COMMAND_FAILED', retryable: true },
        message: expect.stringMatching(/failed on the server/),
      });
      await noneLeft();
    } finally {
      await revive();
    }
    const capture = await start();
    await capture.close();
  });

  if (kind !== 'busybox') return;
  test.each([
    ['stat', 0],
    ['stat', 5000],
    ['cat', 1000],
    ['readlink', 0],
  ])('its %s, killed after %d bytes of what it reads', async (program, bytes) => {
    await symlink('big', join(tree, 'link'));
    const capture = await start();
    const revive = await dying(program, bytes);
    try {
      const { error } = await drain(capture.tar);
      expect(error).toMatchObject({ name: 'AppError', code: 'COMMAND_FAILED', retryable: true });
      await noneLeft();
    } finally {
      await revive();
      await rm(join(tree, 'link'));
      await capture.close();
    }
    expect(capture.warnings).toEqual([]);
  });
});

/** How many were killed: none when it had ended by itself. */
function kill(pid: number): number {
  try {
    process.kill(pid, 'SIGKILL');
    return 1;
  } catch {
    // It ended meanwhile.
    return 0;
  }
}
