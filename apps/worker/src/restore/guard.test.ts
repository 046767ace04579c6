import { randomUUID } from 'node:crypto';
import { mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from '@jest/globals';
import { type RunningSshd, startSshd } from '@tarfleet/testbed';
import { createTransport, type Session } from '@tarfleet/transport';
import { silent } from '../testing.ts';
import { takeGuard } from './guard.ts';
import { WRITE_SCRIPT } from './guard-script.ts';
import { newJournal, readJournal, writeJournal } from './journal.ts';

const calm = (): AbortSignal => new AbortController().signal;
const transport = createTransport({ logger: silent, localRoots: ['/'], localAllowed: true });
let sshd: RunningSshd;
let dir: string;
let jobId: string;
const sessions: Session[] = [];

beforeAll(async () => {
  sshd = await startSshd();
});
afterAll(() => sshd?.stop());
beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-guard-'));
  jobId = randomUUID();
});
afterEach(async () => {
  for (const session of sessions.splice(0)) await session.close();
  await rm(dir, { recursive: true, force: true });
  await rm(folder(), { recursive: true, force: true });
});

const folder = (): string => {
  const home = process.getuid?.() === 0 ? '/var/lib/tarfleet' : join(process.env.HOME ?? '', '.tarfleet');
  return join(home, 'restores', jobId);
};

async function connect(): Promise<Session> {
  const session = await transport.connect({
    target: {
      ...{
        id: randomUUID(),
        projectId: 1,
        name: 'box',
        pool: 'default',
        kind: 'ssh',
        become: null,
        jump: null,
      },
      ...{ host: sshd.host, port: sshd.port, username: sshd.username, hostKey: sshd.fingerprint },
      secrets: { v: 1, keyId: 'test', enc: '', ct: '' },
    },
    openSecrets: async () => ({ auth: { type: 'private_key', private_key: sshd.privateKey } }),
    signal: calm(),
  });
  sessions.push(session);
  return session;
}
const take = async (attempt: number, token = `token-${attempt}`) =>
  takeGuard(await connect(), { jobId, attempt, token }, calm());
const superseded = { name: 'AppError', code: 'ATTEMPT_SUPERSEDED' };

test('commands run for the attempt that holds the fence, and for no other', async () => {
  const first = await take(1001);
  expect(first.found).toBeNull();
  expect((await first.session.run(['sh', '-c', 'echo said; exit 7'], { signal: calm() })).code).toBe(7);
  const second = await take(1002);
  const file = join(dir, 'made');
  await expect(first.session.run(['touch', file], { signal: calm() })).rejects.toMatchObject(superseded);
  const command = await first.session.exec(['touch', file], { signal: calm() });
  command.stdin.end();
  command.stdout.resume();
  command.stderr.resume();
  await expect(command.done).rejects.toMatchObject(superseded);
  await expect(first.write(Buffer.from('{}'), calm())).rejects.toMatchObject(superseded);
  expect(
    (await (await connect()).run([...first.wrapService(['touch', file])], { signal: calm() })).code,
  ).toBe(98);
  expect(await readdir(dir)).toEqual([]);
  expect((await second.session.run(['touch', file], { signal: calm() })).code).toBe(0);
  expect(await readdir(dir)).toEqual(['made']);

  // An earlier attempt does not come back, nor one of the same number; the same one may, on a new connection.
  await expect(take(1001)).rejects.toMatchObject(superseded);
  await expect(take(1002, 'another')).rejects.toMatchObject(superseded);
  expect((await (await take(1002)).session.run(['true'], { signal: calm() })).code).toBe(0);
});

test('what an earlier attempt still runs is ended before a later one acts, its children too', async () => {
  const first = await take(1001);
  const file = join(dir, 'ticks');
  const script = '(while :; do echo tick >>"$1"; sleep 0.05; done) & wait';
  const running = await first.session.exec(['sh', '-c', script, 'sh', file], { signal: calm() });
  running.stdin.end();
  running.stdout.resume();
  running.stderr.resume();
  running.done.catch(() => undefined);
  while (!(await readFile(file, 'utf8').catch(() => ''))) await sleep(20);
  // Its shell alone goes: the child holds the lock on.
  await take(2001);
  const ticks = await readFile(file, 'utf8');
  await sleep(300);
  expect(await readFile(file, 'utf8')).toBe(ticks);
  expect((await sshd.commands()).filter(({ line }) => line.includes('tick'))).toEqual([]);
});

test("a service's command that an earlier attempt still runs is ended, too", async () => {
  const first = await take(1001);
  const file = join(dir, 'begun');
  const stop = ['sh', '-c', 'touch "$1"; sleep 4713', 'sh', file];
  const running = await (await connect()).exec([...first.wrapService(stop)], { signal: calm() });
  running.stdin.end();
  running.stdout.resume();
  running.stderr.resume();
  running.done.catch(() => undefined);
  while (!(await stat(file).catch(() => null))) await sleep(20);
  await take(2001);
  expect((await sshd.commands()).filter(({ line }) => line.includes('4713'))).toEqual([]);
});

test('what a service leaves running neither holds the lock nor is ended with it', async () => {
  const first = await take(1001);
  const file = join(dir, 'daemon');
  const start = [
    'sh',
    '-c',
    'setsid sh -c \'echo $$ >"$1"; exec sleep 60\' sh "$1" >/dev/null 2>&1 &',
    'sh',
    file,
  ];
  expect((await (await connect()).run([...first.wrapService(start)], { signal: calm() })).code).toBe(0);
  let pid = '';
  while (pid === '') {
    await sleep(20);
    pid = (await readFile(file, 'utf8').catch(() => '')).trim();
  }
  await take(1002);
  expect(process.kill(Number(pid), 0)).toBe(true);
  process.kill(Number(pid), 'SIGKILL');
});

test('the journal is found by the next attempt, in a folder for its user alone', async () => {
  const first = await take(1001);
  const journal = { ...newJournal(jobId), phase: 'stopping' as const, up: [randomUUID()] };
  await writeJournal(first, journal, calm());
  const second = await take(1002);
  expect(readJournal(second.found ?? Buffer.alloc(0), jobId)).toEqual(journal);
  expect((await stat(folder())).mode & 0o777).toBe(0o700);
  for (const name of await readdir(folder())) {
    expect([name, (await stat(join(folder(), name))).mode & 0o077]).toEqual([name, 0]);
  }
});

test.each([
  ['no JSON', 'x'],
  ['another restore’s', JSON.stringify(newJournal(randomUUID()))],
  ['of an unknown version', JSON.stringify({ ...newJournal('id'), v: 2 })],
  ['cut', JSON.stringify(newJournal('id')).slice(0, -3)],
])('a journal that is %s is no journal', async (_what, text) => {
  expect(() => readJournal(Buffer.from(text), jobId)).toThrow(
    expect.objectContaining({ code: 'RESTORE_FAILED', message: expect.stringMatching(/damaged/) }),
  );
});

test.each(['', '{"v":1,"phase":"stop', '{"v":1}\n'])(
  'a journal of which only %j arrives is not written',
  async (part) => {
    const first = await take(1001);
    await writeJournal(first, newJournal(jobId), calm());
    const script = ['sh', '-c', WRITE_SCRIPT, 'sh', jobId];
    const { code } = await first.session.run(script, { signal: calm(), input: Buffer.from(part) });
    expect(code).toBe(1);
    expect(readJournal((await take(1002)).found ?? Buffer.alloc(0), jobId)).toEqual(newJournal(jobId));
  },
);

test('on a full disk the journal is still written, from what was kept free for it', async () => {
  const session = await connect();
  const disk = join(dir, 'disk');
  const mounted = await session.run(
    [
      'sh',
      '-c',
      'mkdir "$1" && mount -t tmpfs -o size=1m tmpfs "$1" && mkdir -p "$2" && mount --bind "$1" "$2"',
      'sh',
      disk,
      folder(),
    ],
    { signal: calm() },
  );
  expect([mounted.code, mounted.stderr.toString()]).toEqual([0, '']);
  try {
    const guard = await take(1001);
    await writeFile(join(folder(), 'filler'), Buffer.alloc(4 << 20)).catch(() => undefined);
    const journal = { ...newJournal(jobId), up: Array.from({ length: 500 }, () => randomUUID()) };
    await writeJournal(guard, journal, calm());
    expect(readJournal((await take(1002)).found ?? Buffer.alloc(0), jobId)).toEqual(journal);

    // Nothing is kept free for what has ended.
    await writeJournal(await take(1003), { ...journal, phase: 'ended' }, calm());
    expect(await readdir(folder())).not.toContain('reserve');

    await rm(join(folder(), 'journal.json'));
    await writeFile(join(folder(), 'more'), Buffer.alloc(4 << 20)).catch(() => undefined);
    await expect(take(1004)).rejects.toMatchObject({ code: 'INSUFFICIENT_STORAGE' });
  } finally {
    await session.run(['sh', '-c', 'umount "$2"; umount "$1"', 'sh', disk, folder()], { signal: calm() });
  }
});
