/** Host keys, logins, sudo and jump hosts as they go wrong, on real servers. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect, promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ServerSecrets, SshTarget } from '@tarfleet/contracts';
import { AppError, createLogger } from '@tarfleet/kernel';
import { type RunningSshd, startSshd } from '@tarfleet/testbed';
import { createTransport } from '../create-transport.ts';
import {
  calm,
  createTestUser,
  keySecrets,
  processesWith,
  rareSeconds,
  sshTarget,
  type TestUser,
} from '../test-support.ts';
import type { ConnectRequest, Session } from '../types.ts';

const run = promisify(execFile);
const transport = createTransport({
  logger: createLogger({ level: 'silent', process: 'test' }),
  localAllowed: false,
  localRoots: [],
  connectTimeoutMs: 15_000,
});

let dir: string;
let sshd: RunningSshd;
let user: TestUser;
beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-keys-'));
  await run('ssh-keygen', ['-q', '-t', 'rsa', '-b', '2048', '-N', '', '-f', join(dir, 'host_rsa')]);
  sshd = await startSshd({ config: [`HostKey ${join(dir, 'host_rsa')}`] });
  user = await createTestUser();
});
afterAll(async () => {
  await sshd?.stop();
  await user?.remove();
  await rm(dir, { recursive: true, force: true });
});

function connect(
  target: SshTarget,
  secrets: ServerSecrets | ConnectRequest['openSecrets'],
  more: Partial<ConnectRequest> = {},
): Promise<Session> {
  const openSecrets = typeof secrets === 'function' ? secrets : async () => secrets;
  return transport.connect({ target, openSecrets, signal: calm, ...more });
}

/** The error of a connection that must not come about; a canary in it would be a leak. */
async function failure(connecting: Promise<Session>): Promise<AppError> {
  const error = await connecting.then(
    async (session) => {
      await session.close();
      throw new Error('it connected');
    },
    (fault: unknown) => fault,
  );
  expect(error).toBeInstanceOf(AppError);
  expect(inspect(error, { depth: 10 })).not.toMatch(/canary|PRIVATE KEY/);
  return error as AppError;
}

const never = (): Promise<ServerSecrets> => Promise.reject(new Error('secrets were opened'));

describe('host keys', () => {
  test('a key that is not pinned is told, and no secret is opened', async () => {
    const error = await failure(connect(sshTarget(sshd, { hostKey: null }), never));
    expect(error).toMatchObject({ code: 'HOST_KEY_NOT_PINNED', retryable: false });
    expect(error.details).toEqual({ fingerprint: sshd.fingerprint });
    expect(error.message).toContain(sshd.fingerprint);
  });

  test('a first sight is taken where it is allowed, another key than the pinned one never', async () => {
    const secrets = keySecrets(sshd.privateKey);
    const session = await connect(sshTarget(sshd, { hostKey: null }), secrets, { pinning: 'first-sight' });
    expect(session.fingerprint).toBe(sshd.fingerprint);
    await session.close();
    const other = `SHA256:${'A'.repeat(43)}`;
    for (const pinning of ['required', 'first-sight'] as const) {
      const error = await failure(connect(sshTarget(sshd, { hostKey: other }), never, { pinning }));
      expect(error).toMatchObject({ code: 'HOST_KEY_CHANGED', retryable: false });
      expect(error.details).toEqual({ fingerprint: sshd.fingerprint });
      expect(error.message).toContain(sshd.fingerprint);
      expect(error.message).toContain(other);
    }
  });

  test('any of the keys of a server may be the pinned one', async () => {
    const { stdout } = await run('ssh-keygen', ['-l', '-f', join(dir, 'host_rsa.pub')]);
    const rsa = stdout.split(' ')[1]!;
    const session = await connect(sshTarget(sshd, { hostKey: rsa }), keySecrets(sshd.privateKey));
    expect(session.fingerprint).toBe(rsa);
    await session.close();
  });

  test('a server that changes its key is refused', async () => {
    const own = await startSshd();
    const before = sshTarget(own);
    const after = await own.changeHostKey();
    const error = await failure(connect(before, never));
    expect(error.code).toBe('HOST_KEY_CHANGED');
    expect(error.details).toEqual({ fingerprint: after });
    await own.stop();
  });
});

describe('logins', () => {
  const refused = { code: 'SERVER_AUTH_FAILED', retryable: false };

  test('a wrong password', async () => {
    const secrets: ServerSecrets = { auth: { type: 'password', password: 'canary' } };
    const error = await failure(connect(sshTarget(sshd, { username: user.name }), secrets));
    expect(error).toMatchObject({ ...refused, details: { fingerprint: sshd.fingerprint } });
    expect(error.message).toContain(user.name);
    expect(error.message).toContain(`${sshd.host}:${sshd.port}`);
  });

  test('a key that the server does not know, and none at all', async () => {
    const key = await makeKey('unknown', '');
    expect(await failure(connect(sshTarget(sshd), keySecrets(key)))).toMatchObject(refused);
    expect(await failure(connect(sshTarget(sshd), { auth: { type: 'none' } }))).toMatchObject(refused);
  });

  test('an encrypted key without, with a wrong, and with the right passphrase', async () => {
    const key = await makeKey('locked', 'canary-right');
    const auth = { type: 'private_key', private_key: key } as const;
    const without = await failure(connect(sshTarget(sshd), { auth }));
    expect(without).toMatchObject(refused);
    expect(without.message).toMatch(/passphrase/);
    expect(without.details).toEqual({ fingerprint: sshd.fingerprint });
    const wrong = await failure(connect(sshTarget(sshd), { auth: { ...auth, passphrase: 'canary-wrong' } }));
    expect(wrong).toMatchObject(refused);
    expect(wrong.message).toMatch(/does not open/);
    // The right one opens it; the server just does not know that key.
    const right = await failure(connect(sshTarget(sshd), { auth: { ...auth, passphrase: 'canary-right' } }));
    expect(right.message).toMatch(/refused to let root in/);
  });

  test('what is no key', async () => {
    const error = await failure(connect(sshTarget(sshd), keySecrets('-----BEGIN canary-----\ncanary')));
    expect(error).toMatchObject(refused);
    expect(error.message).toMatch(/not a private key/);
  });

  test('secrets that cannot be opened are the error', async () => {
    const sealed = new AppError('SEAL_INVALID', 'This pool has no such key.');
    const error = await failure(connect(sshTarget(sshd), () => Promise.reject(sealed)));
    expect(error).toMatchObject({ code: 'SEAL_INVALID', message: sealed.message });
  });

  test('a password where the server asks for it by itself', async () => {
    const asking = await startSshd({
      config: ['PasswordAuthentication no', 'KbdInteractiveAuthentication yes', 'UsePAM yes'],
    });
    const target = sshTarget(asking, { username: user.name });
    const session = await connect(target, { auth: { type: 'password', password: user.password } });
    expect((await session.run(['id', '-un'], { signal: calm })).stdout.toString().trim()).toBe(user.name);
    await session.close();
    const wrong = await failure(connect(target, { auth: { type: 'password', password: 'canary' } }));
    expect(wrong).toMatchObject(refused);
    await asking.stop();
  });

  async function makeKey(name: string, passphrase: string): Promise<string> {
    await run('ssh-keygen', ['-q', '-t', 'ed25519', '-N', passphrase, '-f', join(dir, name)]);
    return readFile(join(dir, name), 'utf8');
  }
});

describe('servers out of reach', () => {
  test('nothing listens, or no such name', async () => {
    const closed = await failure(connect(sshTarget({ ...sshd, port: 1 }), never));
    expect(closed).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true });
    expect(closed.message).toContain(`${sshd.host}:1`);
    expect(closed.message).toContain('connection refused');
    const unknown = await failure(connect(sshTarget({ ...sshd, host: 'tarfleet-nowhere.invalid' }), never));
    expect(unknown).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true });
    expect(unknown.message).toContain('tarfleet-nowhere.invalid');
  });

  test('something that says nothing, hangs up, or talks of other things', async () => {
    const soon = createTransport({
      logger: createLogger({ level: 'silent', process: 'test' }),
      localAllowed: false,
      localRoots: [],
      connectTimeoutMs: 500,
    });
    for (const greet of [
      () => undefined,
      (socket: Socket) => socket.end(),
      (socket: Socket) => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n'),
    ]) {
      const { port, close } = await listen(greet);
      const target = sshTarget({ ...sshd, port });
      const error = await failure(soon.connect({ target, openSecrets: never, signal: calm }));
      expect(error).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true });
      expect(error.message).toContain(`:${port}`);
      await close();
    }
  });

  test('an abort ends the try with its reason', async () => {
    const { port, close } = await listen(() => undefined);
    const controller = new AbortController();
    const reason = new Error('not now');
    const connecting = connect(sshTarget({ ...sshd, port }), never, { signal: controller.signal });
    setTimeout(() => controller.abort(reason), 100);
    await expect(connecting).rejects.toBe(reason);
    await close();
  });
});

describe('sudo', () => {
  const login = (becomePassword?: string) =>
    connect(
      sshTarget(sshd, { username: user.name, become: 'sudo' }),
      keySecrets(sshd.privateKey, becomePassword),
    );

  test('a wrong password, and none where one is asked for', async () => {
    const wrong = await failure(login('canary'));
    expect(wrong).toMatchObject({ code: 'BECOME_FAILED', details: { fingerprint: sshd.fingerprint } });
    expect(wrong.message).toMatch(/refused/);
    const none = await failure(login());
    expect(none.code).toBe('BECOME_FAILED');
    expect(none.message).toMatch(/none is stored/);
    expect((await failure(login('canary\nid'))).message).toMatch(/line break/);
    expect((await sshd.commands()).filter(({ line }) => line.includes('sudo\0-S'))).toEqual([]);
  });

  test('a user who may not', async () => {
    await user.allowSudo(null);
    const error = await failure(login(user.password));
    expect(error.code).toBe('BECOME_FAILED');
    expect(error.message).toMatch(/not in the sudoers file/);
    await user.allowSudo('ALL=(ALL:ALL) ALL');
  });

  test('a machine without sudo', async () => {
    const bare = await startSshd({ env: { PATH: '/nowhere' } });
    const target = sshTarget(bare, { username: user.name, become: 'sudo' });
    const error = await failure(connect(target, keySecrets(bare.privateKey, user.password)));
    expect(error.code).toBe('TOOL_MISSING');
    await bare.stop();
  });

  test.each(['use_pty', '!use_pty', 'log_input, log_output'])(
    'with `Defaults %s` commands run and end',
    async (setting) => {
      await user.allowSudo(`ALL=(ALL:ALL) ALL\nDefaults:${user.name} ${setting}`);
      const session = await login(user.password);
      const input = Buffer.from([1, 2, 0xff, 10, 4, 3]);
      expect((await session.run(['cat'], { signal: calm, input })).stdout).toEqual(input);
      const controller = new AbortController();
      // Behind sudo nothing tells whose command it is, so the number must.
      const rare = rareSeconds();
      const command = await session.exec(['sleep', rare], { signal: controller.signal });
      command.stdout.resume();
      command.stderr.resume();
      controller.abort(new Error('stop'));
      await expect(command.done).rejects.toThrow('stop');
      expect(await processesWith(rare)).toEqual([]);
      await session.close();
      await user.allowSudo('ALL=(ALL:ALL) ALL');
    },
  );
});

describe('jump hosts', () => {
  let gate: RunningSshd;
  beforeAll(async () => {
    gate = await startSshd();
  });
  afterAll(() => gate?.stop());
  const through = (
    more: Partial<SshTarget> = {},
    target: Partial<SshTarget> = {},
  ): [SshTarget, typeof open] => {
    const { jump: _, ...first } = sshTarget(gate, { name: 'gate', ...more });
    const open = async ({ id }: { id: string }): Promise<ServerSecrets> =>
      keySecrets((id === first.id ? gate : sshd).privateKey);
    return [sshTarget(sshd, { jump: first, ...target }), open];
  };

  test("the jump host fails: the error names it, and its key is not taken for the target's", async () => {
    const unpinned = await failure(connect(through({ hostKey: null })[0], never, { pinning: 'first-sight' }));
    expect(unpinned.code).toBe('HOST_KEY_NOT_PINNED');
    expect(unpinned.details).toEqual({ fingerprint: null, jumpFingerprint: gate.fingerprint });
    expect(unpinned.message).toContain('jump host gate');
    const down = await failure(connect(through({ port: 1 })[0], never));
    expect(down).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true });
    expect(down.message).toContain('jump host gate');
    const refused = await failure(connect(through()[0], { auth: { type: 'none' } }));
    expect(refused.code).toBe('SERVER_AUTH_FAILED');
    expect(refused.message).toContain('jump host gate');
  });

  test('the target behind it fails: the error names both', async () => {
    const down = await failure(connect(...through({}, { port: 1 })));
    expect(down).toMatchObject({ code: 'SERVER_UNREACHABLE', retryable: true });
    expect(down.message).toContain(`box (${sshd.host}:1) through gate`);
    const changed = await failure(connect(...through({}, { hostKey: gate.fingerprint })));
    expect(changed.code).toBe('HOST_KEY_CHANGED');
    expect(changed.details).toEqual({ fingerprint: sshd.fingerprint });
  });

  test('the jump host goes away in the middle of a command', async () => {
    const session = await connect(...through());
    const command = await session.exec(['sleep', '27182818284'], { signal: calm });
    command.stdout.resume();
    command.stderr.resume();
    await gate.cutConnections();
    await expect(command.done).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
    await session.close();
    // It lived on: nothing could reach it any more.
    const left = (await sshd.commands()).filter(({ line }) => line.startsWith('sleep\0'));
    expect(left).toHaveLength(1);
    for (const { pid } of left) process.kill(pid, 'SIGKILL');
  });
});

async function listen(
  greet: (socket: Socket) => unknown,
): Promise<{ port: number; close: () => Promise<void> }> {
  const sockets = new Set<Socket>();
  const server: Server = createServer((socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  if (address === null || typeof address === 'string') throw new Error('no port');
  return {
    port: address.port,
    close: async () => {
      for (const socket of sockets) socket.destroy();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
