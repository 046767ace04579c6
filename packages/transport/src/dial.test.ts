/** Connections that a server itself makes. */
import { once } from 'node:events';
import { chmod, mkdtemp, rm, symlink } from 'node:fs/promises';
import { type AddressInfo, createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tarfleet/kernel';
import { findTool, type RunningSshd, requireTools, startSshd } from '@tarfleet/testbed';
import { createTransport } from './create-transport.ts';
import {
  calm,
  createTestUser,
  keySecrets,
  localTarget,
  processesWith,
  sshTarget,
  until,
} from './test-support.ts';
import type { Session } from './types.ts';

const transport = createTransport({
  logger: createLogger({ level: 'silent', process: 'test' }),
  localAllowed: true,
  localRoots: ['/tmp'],
});

let echo: Server;
let echoPort: number;
let closedPort: number;
const sockets = new Set<Socket>();

beforeAll(async () => {
  echo = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
    socket.on('data', (chunk: Buffer) => {
      if (chunk.includes('bye')) socket.end('bye');
      else socket.write(chunk);
    });
  });
  echoPort = await listen(echo);
  const other = createServer();
  closedPort = await listen(other);
  other.close();
});
afterAll(async () => {
  for (const socket of sockets) socket.destroy();
  echo.close();
  await once(echo, 'close');
});

async function listen(server: Server): Promise<number> {
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return (server.address() as AddressInfo).port;
}

/** A server that forwards nothing and has no programs but these: by their names, what they really are. */
async function startBare(programs: Record<string, string>): Promise<RunningSshd> {
  const bin = await mkdtemp(join(tmpdir(), 'tarfleet-bin-'));
  await chmod(bin, 0o755);
  for (const [name, path] of Object.entries(programs)) await symlink(path, join(bin, name));
  const sshd = await startSshd({ config: ['AllowTcpForwarding no'], env: { PATH: bin } });
  // Nothing of root's own start files comes into its PATH.
  const user = await createTestUser();
  const stop = async (): Promise<void> => {
    await sshd.stop();
    await user.remove();
    await rm(bin, { recursive: true, force: true });
  };
  return { ...sshd, username: user.name, stop };
}

async function real(name: string): Promise<string> {
  const path = await findTool(name);
  if (!path) throw new Error(`this machine has no ${name}`);
  return path;
}

const overSsh = (sshd: RunningSshd): Promise<Session> =>
  transport.connect({
    target: sshTarget(sshd),
    openSecrets: async () => keySecrets(sshd.privateKey),
    signal: calm,
  });

const ways: Record<string, () => Promise<RunningSshd | null>> = {
  local: async () => null,
  'forwarded by sshd': () => startSshd(),
  'by bash': async () => startBare({ sh: '/bin/sh', bash: await real('bash'), cat: await real('cat') }),
  'by python3': async () => startBare({ sh: '/bin/sh', python3: '/usr/bin/python3' }),
  'by busybox': async () => {
    const { busybox } = await requireTools(['busybox']);
    return startBare({ sh: '/bin/sh', busybox, true: busybox });
  },
};

describe.each(Object.keys(ways))('%s', (way) => {
  let sshd: RunningSshd | null = null;
  let session: Session;
  beforeAll(async () => {
    sshd = (await ways[way]?.()) ?? null;
    session = sshd
      ? await overSsh(sshd)
      : await transport.connect({
          target: localTarget,
          openSecrets: () => Promise.reject(new Error('local has no secrets')),
          signal: calm,
        });
  });
  afterAll(async () => {
    await session?.close();
    await sshd?.stop();
  });

  test('bytes go both ways, and the end is told', async () => {
    const stream = await session.dial({ host: '127.0.0.1', port: echoPort }, calm);
    stream.write(Buffer.from([0, 255, 10, 13, 0x80]));
    const [first] = (await once(stream, 'data')) as [Buffer];
    expect(first).toEqual(Buffer.from([0, 255, 10, 13, 0x80]));
    const [ended, answered] = [once(stream, 'end'), once(stream, 'data') as Promise<[Buffer]>];
    stream.write('bye');
    expect((await answered)[0].toString()).toBe('bye');
    await ended;
    stream.destroy();
  });

  test('a port where nothing listens', async () => {
    await expect(session.dial({ host: '127.0.0.1', port: closedPort }, calm)).rejects.toMatchObject({
      code: 'PORT_UNREACHABLE',
      message: expect.stringContaining(String(closedPort)),
    });
  });

  test('who destroys the stream leaves nothing open', async () => {
    const stream = await session.dial({ host: '127.0.0.1', port: echoPort }, calm);
    stream.write('x');
    await once(stream, 'data');
    stream.destroy();
    await until(async () => sockets.size === 0);
    await until(async () => (await processesWith(`\0${echoPort}`)).length === 0);
  });

  test('an abort ends the attempt with its reason', async () => {
    const reason = new Error('enough');
    const to = { host: '127.0.0.1', port: echoPort };
    await expect(session.dial(to, AbortSignal.abort(reason))).rejects.toBe(reason);
    const controller = new AbortController();
    // Packets to this address lead nowhere (RFC 5737).
    const dialling = session.dial({ host: '192.0.2.1', port: 9 }, controller.signal);
    const settled = dialling.then(
      () => 'connected',
      (error: unknown) => error,
    );
    await session.run(['true'], { signal: calm });
    controller.abort(reason);
    const error = await settled;
    // A machine without a way there says so before it can be aborted.
    if (error !== reason) expect(error).toMatchObject({ code: 'PORT_UNREACHABLE' });
  });
});

test('without forwarding and without programs it says what to do', async () => {
  const sshd = await startBare({ sh: '/bin/sh' });
  const session = await overSsh(sshd);
  await expect(session.dial({ host: '127.0.0.1', port: echoPort }, calm)).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    message: expect.stringContaining('AllowTcpForwarding'),
  });
  await session.close();
  await sshd.stop();
});

test('a lost connection is that, and no closed port', async () => {
  const sshd = await startSshd();
  const session = await overSsh(sshd);
  const stream = await session.dial({ host: '127.0.0.1', port: echoPort }, calm);
  const closed = new Promise((resolve) => stream.once('close', resolve));
  await sshd.cutConnections();
  await closed;
  await expect(session.dial({ host: '127.0.0.1', port: echoPort }, calm)).rejects.toMatchObject({
    code: 'CONNECTION_LOST',
  });
  await session.close();
  await sshd.stop();
});
