/** What every driver does alike. Each test runs against real processes, behind a real sshd where there is one. */
import { createHash, randomBytes } from 'node:crypto';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { createLogger } from '@tarfleet/kernel';
import { startSshd } from '@tarfleet/testbed';
import { createTransport } from './create-transport.ts';
import {
  calm,
  createTestUser,
  keySecrets,
  localTarget,
  processesWith,
  rareSeconds,
  sshTarget,
  until,
} from './test-support.ts';
import type { ConnectRequest, Session } from './types.ts';

type Prepared = { request: Omit<ConnectRequest, 'signal'>; stop: () => Promise<void> };

const transport = createTransport({
  logger: createLogger({ level: 'silent', process: 'test' }),
  localAllowed: true,
  localRoots: ['/tmp'],
});
// The number of sessions that sshd allows unless told otherwise.
const usual = { config: ['MaxSessions 10'] };

const drivers: Record<string, () => Promise<Prepared>> = {
  local: async () => ({
    request: { target: localTarget, openSecrets: () => Promise.reject(new Error('local has no secrets')) },
    stop: async () => undefined,
  }),
  'ssh as root': async () => {
    const sshd = await startSshd(usual);
    return {
      request: { target: sshTarget(sshd), openSecrets: async () => keySecrets(sshd.privateKey) },
      stop: () => sshd.stop(),
    };
  },
  'ssh with sudo and a password': async () => {
    const [sshd, user] = [await startSshd(usual), await createTestUser()];
    return {
      request: {
        target: sshTarget(sshd, { username: user.name, become: 'sudo' }),
        openSecrets: async () => keySecrets(sshd.privateKey, user.password),
      },
      stop: async () => {
        await sshd.stop();
        await user.remove();
      },
    };
  },
  'ssh with sudo and no password': async () => {
    const [sshd, user] = [await startSshd(usual), await createTestUser()];
    await user.allowSudo('ALL=(ALL:ALL) NOPASSWD: ALL');
    return {
      request: {
        target: sshTarget(sshd, { username: user.name, become: 'sudo' }),
        openSecrets: async () => keySecrets(sshd.privateKey),
      },
      stop: async () => {
        await sshd.stop();
        await user.remove();
      },
    };
  },
  'ssh with a password': async () => {
    const [sshd, user] = [await startSshd(usual), await createTestUser()];
    return {
      request: {
        target: sshTarget(sshd, { username: user.name }),
        openSecrets: async () => ({ auth: { type: 'password', password: user.password } }),
      },
      stop: async () => {
        await sshd.stop();
        await user.remove();
      },
    };
  },
  'ssh through a jump host': async () => {
    const [jump, sshd] = [await startSshd(usual), await startSshd(usual)];
    const { jump: _, ...first } = sshTarget(jump, { name: 'gate' });
    return {
      request: {
        target: sshTarget(sshd, { jump: first }),
        openSecrets: async (target) => keySecrets((target.id === first.id ? jump : sshd).privateKey),
      },
      stop: async () => {
        await sshd.stop();
        await jump.stop();
      },
    };
  },
};

describe.each(Object.keys(drivers))('%s', (name) => {
  let prepared: Prepared;
  let session: Session;
  beforeAll(async () => {
    prepared = await drivers[name]!();
    session = await transport.connect({ ...prepared.request, signal: calm });
  });
  afterAll(async () => {
    await session?.close();
    await prepared?.stop();
  });

  test('arguments arrive byte for byte', async () => {
    const odd = [
      ...[
        '',
        ' ',
        '-rf',
        '--',
        "it's",
        '"',
        '$HOME',
        '`id`',
        '$(id)',
        '\\',
        '\\n',
        '\\0101',
        '%s%b',
        '!!',
        '!x',
      ],
      ...['a\nb', '\n', 'end\n\n', '\t\r', '*', '~', 'ü€😀', '{a,b}', '#', ';', '|', '&', '>', '<', '(', ']'],
      Buffer.from([0xff, 0xfe, 0x0a]),
      Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1)),
      Buffer.from([0x81, 0x82, 0x88, 0x5c, 0x27, 0x83]),
    ];
    const { stdout, stderr, code } = await session.run(['sh', '-c', 'printf "%s\\0" "$@"', 'sh', ...odd], {
      signal: calm,
    });
    expect(code).toBe(0);
    expect(stderr.toString()).toBe('');
    expect(stdout.toString('latin1').split('\0').slice(0, -1)).toEqual(
      odd.map((one) => Buffer.from(one).toString('latin1')),
    );
  });

  test('long command lines work, and too long ones and NUL bytes are refused', async () => {
    const long = Array.from({ length: 900 }, (_, i) => `/srv/data/${i}/${'x'.repeat(80)}`);
    const { stdout } = await session.run(['sh', '-c', 'echo $#; echo "$900"', 'sh', ...long], {
      signal: calm,
    });
    expect(stdout.toString().split('\n')[0]).toBe('900');
    const failed = expect.objectContaining({ code: 'COMMAND_FAILED' });
    await expect(session.run(['echo', 'x'.repeat(200_000)], { signal: calm })).rejects.toEqual(failed);
    await expect(session.run(['echo', 'a\0b'], { signal: calm })).rejects.toEqual(failed);
    await expect(session.run([], { signal: calm })).rejects.toEqual(failed);
  });

  test('the locale is C, the environment is added, exits and signals are told', async () => {
    const env = { LC_ALL: 'de_DE.UTF-8', TF_ODD: "a'b\n$HOME ü" };
    const { stdout } = await session.run(['sh', '-c', 'printf "%s|%s" "$LC_ALL" "$TF_ODD"'], {
      signal: calm,
      env,
    });
    expect(stdout.toString()).toBe(`C|${env.TF_ODD}`);
    const exits = async (script: string) => {
      const { code, signal } = await session.run(['sh', '-c', script], { signal: calm });
      return { code, signal };
    };
    expect(await exits('exit 0')).toEqual({ code: 0, signal: null });
    expect(await exits('exit 7')).toEqual({ code: 7, signal: null });
    expect(await exits('kill -KILL $$')).toEqual({ code: null, signal: 'SIGKILL' });
    expect((await session.run(['tarfleet-no-such-tool'], { signal: calm })).code).toBe(127);
    expect((await session.run(['/etc/passwd'], { signal: calm })).code).toBe(126);
  });

  test('stdin, stdout and stderr carry any bytes, each its own', async () => {
    const input = randomBytes(6 * 1024 * 1024);
    const command = await session.exec(['sh', '-c', 'printf "to stderr" >&2; cat'], { signal: calm });
    const [echo, errors] = await Promise.all([
      digest(command.stdout),
      command.stderr.toArray(),
      pipeline(Readable.from(chunked(input)), command.stdin),
    ]);
    expect(await command.done).toEqual({ code: 0, signal: null });
    expect(echo).toEqual({ size: input.length, sha256: createHash('sha256').update(input).digest('hex') });
    expect(Buffer.concat(errors).toString()).toBe('to stderr');
    expect((await session.run(['cat'], { signal: calm, input: Buffer.from([0, 255, 10]) })).stdout).toEqual(
      Buffer.from([0, 255, 10]),
    );
  });

  test('a command that leaves its input unread ends as usual, and the writer is told', async () => {
    const command = await session.exec(['true'], { signal: calm });
    command.stdout.resume();
    command.stderr.resume();
    const writing = pipeline(Readable.from(chunked(Buffer.alloc(32 * 1024 * 1024))), command.stdin);
    await expect(writing).rejects.toEqual(expect.objectContaining({ code: 'COMMAND_FAILED' }));
    expect(await command.done).toEqual({ code: 0, signal: null });
    // And nobody has to listen: writing on is no crash.
    const other = await session.exec(['true'], { signal: calm });
    other.stdout.resume();
    other.stderr.resume();
    other.stdin.write(Buffer.alloc(1024 * 1024));
    expect((await other.done).code).toBe(0);
    other.stdin.write('late');
  });

  test('a slow reader holds the command back, in bounded memory', async () => {
    const size = 100_000_000;
    const command = await session.exec(['sh', '-c', `head -c ${size} /dev/zero; echo finished >&2`], {
      signal: calm,
    });
    let told = '';
    command.stderr.on('data', (chunk: Buffer) => {
      told += chunk.toString();
    });
    await new Promise((resolve) => command.stdout.once('readable', resolve));
    await session.run(['sleep', '1'], { signal: calm });
    expect(told).toBe('');
    expect(command.stdout.readableLength).toBeLessThan(4 * 1024 * 1024);
    expect((await digest(command.stdout)).size).toBe(size);
    expect(await command.done).toEqual({ code: 0, signal: null });
    expect(told).toBe('finished\n');
  });

  test('a slow command holds the writer back', async () => {
    const command = await session.exec(['sh', '-c', 'sleep 1; wc -c'], { signal: calm });
    const size = 60_000_000;
    let sent = 0;
    const source = Readable.from(
      (function* () {
        for (; sent < size; sent += 100_000) yield Buffer.alloc(100_000);
      })(),
    );
    command.stderr.resume();
    const writing = pipeline(source, command.stdin);
    await session.run(['true'], { signal: calm });
    expect(sent).toBeLessThan(16 * 1024 * 1024);
    const counted = await command.stdout.toArray();
    await writing;
    expect(Buffer.concat(counted).toString().trim()).toBe(String(size));
  });

  test('output that is too long for run() ends the command', async () => {
    const rare = rareSeconds();
    const endless = session.run(['sh', '-c', `head -c 3000000 /dev/zero; sleep ${rare}`], { signal: calm });
    await expect(endless).rejects.toEqual(expect.objectContaining({ code: 'COMMAND_FAILED' }));
    expect(await processesWith(rare)).toEqual([]);
    const { stdout, stderr } = await session.run(
      ['sh', '-c', 'head -c 1048576 /dev/zero; head -c 200000 /dev/zero >&2; printf end >&2'],
      { signal: calm },
    );
    expect(stdout.length).toBe(1024 * 1024);
    expect(stderr.length).toBe(64 * 1024);
    expect(stderr.subarray(-3).toString()).toBe('end');
  });

  test.each([
    ['with children', (rare: string) => `sleep ${rare} & sleep ${rare}; wait`],
    ['that ignores TERM', (rare: string) => `trap "" TERM; sleep ${rare}; sleep ${rare}`],
    [
      'with a child that hides',
      (rare: string) => `(trap "" TERM; sleep ${rare}) >/dev/null 2>&1 & sleep ${rare}`,
    ],
    ['that floods its output', (rare: string) => `sleep ${rare} & cat /dev/zero`],
  ])('an abort ends a command %s', async (_, script) => {
    const rare = rareSeconds();
    const controller = new AbortController();
    const command = await session.exec(['sh', '-c', script(rare)], { signal: controller.signal });
    command.stderr.resume();
    await until(async () => (await processesWith(`sleep\0${rare}`)).length > 0);
    const reason = new Error('no longer wanted');
    const reading = digest(command.stdout);
    controller.abort(reason);
    await expect(command.done).rejects.toBe(reason);
    expect(await processesWith(rare)).toEqual([]);
    await expect(reading).rejects.toBe(reason);
    expect((await session.run(['echo', 'still here'], { signal: calm })).stdout.toString()).toBe(
      'still here\n',
    );
  });

  test('an abort before or during the start leaves nothing either', async () => {
    const rare = rareSeconds();
    const reason = new Error('too late');
    await expect(session.exec(['sleep', rare], { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const starting = session.exec(['sleep', rare], { signal: controller.signal });
    controller.abort(reason);
    await expect(starting.then(({ done }) => done)).rejects.toBe(reason);
    expect(await processesWith(rare)).toEqual([]);
  });

  test('a reader who leaves early ends the command', async () => {
    const rare = rareSeconds();
    const command = await session.exec(['sh', '-c', `yes ${rare}`], { signal: calm });
    command.stderr.resume();
    await new Promise((resolve) => command.stdout.once('data', resolve));
    command.stdout.destroy();
    expect(await command.done).not.toEqual({ code: 0, signal: null });
    await until(async () => (await processesWith(rare)).length === 0);
  });

  test('many commands at once all run', async () => {
    const results = await Promise.all(
      Array.from({ length: 30 }, (_, i) =>
        session.run(['sh', '-c', `sleep 0.1; echo ${i}`], { signal: calm }),
      ),
    );
    expect(results.map(({ stdout }) => stdout.toString())).toEqual(
      Array.from({ length: 30 }, (_, i) => `${i}\n`),
    );
  });

  test('capabilities are found out, once', async () => {
    const found = await session.capabilities(calm);
    const { stdout } = await session.run(['sh', '-c', 'id -u; id -un'], { signal: calm });
    expect(`${found.uid}\n${found.user}\n`).toBe(stdout.toString());
    expect(found.tar).toBe('gnu');
    expect(found.find).toBe('gnu');
    expect(found.tools.tar).toMatch(/GNU tar/);
    expect(found.tools.gzip).toMatch(/^gzip /);
    expect(found.tools.sha256sum).toMatch(/sha256sum/);
    expect(Object.keys(found.tools)).toEqual(expect.arrayContaining(['bsdtar', 'busybox', 'sudo', 'setsid']));
    expect(await session.capabilities(calm)).toBe(found);
  });

  test('closing ends what still runs, and is safe to repeat', async () => {
    const rare = rareSeconds();
    const other = await transport.connect({ ...prepared.request, signal: calm });
    const command = await other.exec(['sh', '-c', `sleep ${rare} & sleep ${rare}`], { signal: calm });
    command.stderr.resume();
    const reading = digest(command.stdout);
    const starting = other.exec(['sleep', rare], { signal: calm });
    const ends = [command.done, reading, starting.then(({ done }) => done)].map((end) =>
      expect(end).rejects.toEqual(expect.objectContaining({ code: 'CONNECTION_LOST' })),
    );
    await Promise.all([other.close(), other.close()]);
    await Promise.all(ends);
    expect(await processesWith(rare)).toEqual([]);
    await other.close();
    await expect(other.run(['true'], { signal: calm })).rejects.toEqual(
      expect.objectContaining({ code: 'CONNECTION_LOST' }),
    );
  });
});

function* chunked(data: Buffer): Generator<Buffer> {
  for (let at = 0; at < data.length; at += 50_000) yield data.subarray(at, at + 50_000);
}

async function digest(stream: Readable): Promise<{ size: number; sha256: string }> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    hash.update(chunk);
    size += chunk.length;
  }
  return { size, sha256: hash.digest('hex') };
}
