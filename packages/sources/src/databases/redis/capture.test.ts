import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RedisTarget } from '@tarfleet/contracts';
import { type RunningSshd, requireTools, startSshd } from '@tarfleet/testbed';
import type { Session } from '@tarfleet/transport';
import { sshSession, until } from '../../files/testing-sessions.ts';
import { captureWhole } from '../testing-captures.ts';

const run = promisify(execFile);
const PASSWORD = "redis ca'na\\ry";
let tools: Awaited<ReturnType<typeof requireTools>>;
let dir: string;
let sshd: RunningSshd;
let session: Session;
const stops: (() => Promise<void>)[] = [];

const cli = async (port: number, ...args: string[]): Promise<string> =>
  (
    await run('redis-cli', ['-p', String(port), ...args], {
      env: { ...process.env, REDISCLI_AUTH: PASSWORD },
    })
  ).stdout.trim();

async function startRedisWith(folder: string): Promise<number> {
  const port = 20_000 + Math.floor(Math.random() * 10_000);
  const child = spawn(tools['redis-server'], ['-'], { stdio: ['pipe', 'ignore', 'inherit'] });
  child.stdin.end(
    `port ${port}\nbind 127.0.0.1\ndir ${folder}\nsave ""\nrequirepass "${PASSWORD.replaceAll('\\', '\\\\')}"\n`,
  );
  stops.push(async () => {
    child.kill('SIGKILL');
    await once(child, 'exit');
  });
  await until(async () => (await cli(port, 'ping').catch(() => '')) === 'PONG');
  return port;
}

beforeAll(async () => {
  tools = await requireTools(['redis-server', 'redis-cli']);
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-redis-'));
  sshd = await startSshd();
  session = await sshSession(sshd);
});

afterAll(async () => {
  for (const stop of stops) await stop();
  await session?.close();
  await sshd?.stop();
  await rm(dir, { recursive: true, force: true });
});

test('the RDB file loads elsewhere with every key, and a wrong password fails in words', async () => {
  const port = await startRedisWith(dir);
  await cli(
    port,
    'EVAL',
    "for i = 1, 50000 do redis.call('SET', 'key:' .. i, string.rep('v', i % 300)) end",
    '0',
  );
  await cli(port, '-n', '3', 'HSET', 'hash', 'a', '1', 'b', '2');
  const target: RedisTarget = {
    ...{ type: 'redis', host: '127.0.0.1', port, user: null, secrets: null },
    ...{ runAs: null, binDir: null },
  };
  const { dumps, facts } = await captureWhole(session, target, { password: PASSWORD });
  expect(facts).toEqual({
    method: 'redis_rdb',
    serverVersion: expect.any(String),
    databases: [],
    tables: null,
    records: 50_001,
  });
  const rdb = dumps.get('dump.rdb') ?? Buffer.alloc(0);
  const folder = await mkdtemp(join(tmpdir(), 'tarfleet-redis-'));
  stops.push(() => rm(folder, { recursive: true, force: true }));
  await writeFile(join(folder, 'dump.rdb'), rdb);
  expect((await run('redis-check-rdb', [join(folder, 'dump.rdb')])).stdout).toContain('RDB looks OK');
  expect(rdb.at(-9)).toBe(0xff);
  const other = await startRedisWith(folder);
  expect(await cli(other, 'DEBUG', 'DIGEST').catch(() => 'no')).toBe(
    await cli(port, 'DEBUG', 'DIGEST').catch(() => 'no'),
  );
  expect(await cli(other, 'GET', 'key:299')).toBe('v'.repeat(299));
  expect(await cli(other, '-n', '3', 'HGETALL', 'hash')).toBe('a\n1\nb\n2');
  expect(await cli(other, 'DBSIZE')).toBe('50000');

  await expect(captureWhole(session, target, { password: 'wrong-one' })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringMatching(/WRONGPASS|NOAUTH|AUTH/),
  });
  await expect(captureWhole(session, { ...target, port: 1 })).rejects.toMatchObject({
    code: 'COMMAND_FAILED',
    message: expect.stringContaining('refused'),
  });
});
