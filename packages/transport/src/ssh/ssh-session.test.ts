/** What only a connection can do to commands: break, be full, and speak through a login shell. */
import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tarfleet/kernel';
import { startSshd } from '@tarfleet/testbed';
import { createTransport } from '../create-transport.ts';
import {
  calm,
  createTestUser,
  keySecrets,
  processesWith,
  rareSeconds,
  sshTarget,
  type TestUser,
  until,
} from '../test-support.ts';

const run = promisify(execFile);
const transport = createTransport({
  logger: createLogger({ level: 'silent', process: 'test' }),
  localAllowed: false,
  localRoots: [],
});
let user: TestUser;
beforeAll(async () => {
  user = await createTestUser();
});
afterAll(() => user?.remove());

test('a broken connection is an error on every stream, never an end', async () => {
  const sshd = await startSshd();
  const session = await transport.connect({
    target: sshTarget(sshd),
    openSecrets: async () => keySecrets(sshd.privateKey),
    signal: calm,
  });
  const lost = expect.objectContaining({ code: 'CONNECTION_LOST', retryable: true });
  const script = 'head -c 1000000 /dev/zero; while echo; do sleep 0.05; done';
  const reading = await session.exec(['sh', '-c', script], { signal: calm });
  reading.stderr.resume();
  let received = 0;
  reading.stdout.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  // Nobody reads this one: its buffers are full when the connection breaks.
  const stalled = await session.exec(['cat', '/dev/zero'], { signal: calm });
  await new Promise((resolve) => stalled.stdout.once('readable', resolve));
  const quiet = session.run(['sleep', '3'], { signal: calm });
  await until(async () => received >= 1_000_000);
  const ends = [reading.stdout, stalled.stdout].map(
    (stream) =>
      new Promise<unknown>((resolve) => {
        stream.once('error', resolve);
        stream.once('end', () => resolve('a clean end'));
      }),
  );
  const checks = [
    expect(reading.done).rejects.toEqual(lost),
    expect(stalled.done).rejects.toEqual(lost),
    expect(quiet).rejects.toEqual(lost),
  ];
  await sshd.cutConnections();
  await Promise.all(checks);
  expect(await Promise.all(ends)).toEqual([lost, lost]);
  await expect(session.run(['true'], { signal: calm })).rejects.toEqual(lost);
  await session.close();
  await sshd.stop();
});

test('a server that stops answering is noticed', async () => {
  const sshd = await startSshd();
  const attentive = createTransport({
    logger: createLogger({ level: 'silent', process: 'test' }),
    localAllowed: false,
    localRoots: [],
    keepaliveMs: 200,
  });
  const session = await attentive.connect({
    target: sshTarget(sshd, { username: user.name }),
    openSecrets: async () => keySecrets(sshd.privateKey),
    signal: calm,
  });
  const [controller, reason] = [new AbortController(), new Error('stop')];
  const waiting = session.run(['sleep', '30'], { signal: calm });
  const aborted = session.run(['sleep', '30'], { signal: controller.signal });
  const checks = [
    expect(waiting).rejects.toMatchObject({
      code: 'CONNECTION_LOST',
      message: expect.stringMatching(/stopped answering/),
    }),
    expect(aborted).rejects.toBe(reason),
  ];
  await until(
    async () => (await sshd.commands()).filter(({ line }) => line.startsWith('sleep\0')).length >= 2,
  );
  const serving = (await processesWith(`sshd: ${user.name}@notty`)).map((line) => Number.parseInt(line, 10));
  expect(serving.length).toBe(1);
  for (const pid of serving) process.kill(pid, 'SIGSTOP');
  controller.abort(reason);
  await Promise.all(checks);
  await session.close();
  for (const pid of serving) process.kill(pid, 'SIGCONT');
  await sshd.stop();
});

describe.each([
  [1, null],
  [2, null],
  [2, 'sudo'],
] as const)('a server that allows %i sessions (become: %s)', (limit, become) => {
  test('runs many commands one after the other, and those that fill it can be ended', async () => {
    const sshd = await startSshd({ config: [`MaxSessions ${limit}`] });
    const session = await transport.connect({
      target: sshTarget(sshd, { username: user.name, become }),
      openSecrets: async () => keySecrets(sshd.privateKey, user.password),
      signal: calm,
    });
    const outputs = await Promise.all(
      Array.from({ length: 12 }, (_, i) => session.run(['echo', String(i)], { signal: calm })),
    );
    expect(outputs.map(({ stdout }) => stdout.toString().trim())).toEqual(
      Array.from({ length: 12 }, (_, i) => String(i)),
    );
    const rare = rareSeconds();
    const controller = new AbortController();
    const commands = await Promise.all(
      Array.from({ length: limit }, () =>
        session.exec(['sh', '-c', `sleep ${rare} >/dev/null & sleep ${rare}`], { signal: controller.signal }),
      ),
    );
    for (const { stdout, stderr } of commands) {
      stdout.resume();
      stderr.resume();
    }
    await until(async () => (await processesWith(`sleep\0${rare}`)).length >= limit * 2);
    controller.abort(new Error('enough'));
    for (const { done } of commands) await expect(done).rejects.toThrow('enough');
    expect(await processesWith(rare)).toEqual([]);
    await session.close();
    await sshd.stop();
  });
});

test('what a login shell prints and traces is not output', async () => {
  const sshd = await startSshd();
  const noise = [
    'echo "welcome to the box"; echo "careful" >&2; head -c 60000 /dev/zero; head -c 60000 /dev/zero >&2',
    'export SHELLOPTS; set -xv',
  ].join('\n');
  await writeFile(`${user.home}/.bashrc`, `${noise}\n`);
  for (const become of [null, 'sudo'] as const) {
    const session = await transport.connect({
      target: sshTarget(sshd, { username: user.name, become }),
      openSecrets: async () => keySecrets(sshd.privateKey, user.password),
      signal: calm,
    });
    const { stdout, stderr, code } = await session.run(['sh', '-c', 'echo out; echo err >&2; cat'], {
      signal: calm,
      input: Buffer.from('in'),
    });
    expect({ stdout: stdout.toString(), stderr: stderr.toString(), code }).toEqual({
      stdout: 'out\nin',
      stderr: 'err\n',
      code: 0,
    });
    await session.close();
  }
  await writeFile(`${user.home}/.bashrc`, '');
  await sshd.stop();
});

test('every login shell will do, and one that runs nothing is an error', async () => {
  const sshd = await startSshd();
  const login = () =>
    transport.connect({
      target: sshTarget(sshd, { username: user.name }),
      openSecrets: async () => keySecrets(sshd.privateKey),
      signal: calm,
    });
  const odd = ["it's\n", '!!', '\\', Buffer.from([0xff, 0x0a])];
  for (const shell of ['/bin/dash', '/bin/bash']) {
    await run('usermod', ['--shell', shell, user.name]);
    const session = await login();
    const { stdout } = await session.run(['printf', '%s|', ...odd], { signal: calm });
    expect(stdout).toEqual(Buffer.concat(odd.flatMap((one) => [Buffer.from(one), Buffer.from('|')])));
    await session.close();
  }
  await run('usermod', ['--shell', '/usr/sbin/nologin', user.name]);
  const session = await login();
  await expect(session.run(['true'], { signal: calm })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('not available'),
  });
  await session.close();
  await run('usermod', ['--shell', '/bin/bash', user.name]);
  await sshd.stop();
});
