/** Commands of a service's own, as small scripts: what they may do wrong. Real servers are in `real-services.test.ts`. */
import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { CommandRunner } from '@tarfleet/contracts';
import { calm, startServer, type TestServer } from '../testing/world.ts';

let server: TestServer;
let flag: string;
beforeAll(async () => {
  server = await startServer();
  flag = join(server.dir, 'runs');
});
afterAll(() => server.stop());
beforeEach(() => rm(flag, { force: true }));

/** It runs while the flag is there. */
function runner(
  change: Partial<Record<'stop' | 'start' | 'status', string>>,
  limits: Partial<Record<'order' | 'status', number>> = {},
): CommandRunner {
  const argv = (script: string) => ['sh', '-c', script, 'sh', flag];
  const command = (script: string) => ({ argv: argv(script), seconds: limits.order ?? 30 });
  return {
    kind: 'command',
    stop: command(change.stop ?? 'rm "$1"'),
    start: command(change.start ?? 'touch "$1"'),
    status: { argv: argv(change.status ?? '[ -e "$1" ]'), seconds: limits.status ?? 30 },
  };
}
const running = () => writeFile(flag, '');

test.each([
  ['exit 0', 'running'],
  ['exit 1', 'stopped'],
  ['exit 3', 'stopped'],
  ['echo lost; exit 2', 'unknown'],
  ['exit 4', 'unknown'],
  ['exec no-such-program', 'unknown'],
  ['kill -9 $$', 'unknown'],
])('a status command that does `%s` says: %s', async (status, expected) => {
  const state = await server.of(runner({ status })).state(calm);
  expect(state).toMatchObject({ status: expected, up: expected === 'running', run: null });
});

test('a status command that hangs tells nothing', async () => {
  expect(await server.of(runner({ status: 'sleep 30' }, { status: 0.3 })).state(calm)).toMatchObject({
    ...{ status: 'unknown', detail: 'its status command did not end within 0.3 s' },
  });
});

test('it is stopped and started once, however often it is asked for', async () => {
  const counted = runner({ stop: 'echo s >>"$1.log"; rm "$1"', start: 'echo S >>"$1.log"; touch "$1"' });
  const service = server.of(counted);
  for (const step of ['start', 'start', 'stop', 'stop', 'start'] as const) await service[step](calm);
  expect(await readFile(`${flag}.log`, 'utf8')).toBe('S\ns\nS\n');
});

test('a service of which nothing can be told is neither stopped nor taken for running', async () => {
  const service = server.of(
    runner({ status: 'echo no socket >&2; exit 2', stop: 'touch "$1.stopped"' }, { order: 2 }),
  );
  await expect(service.stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STATE_UNKNOWN',
    message: expect.stringContaining('its status command exited with code 2: no socket'),
  });
  await expect(readFile(`${flag}.stopped`)).rejects.toMatchObject({ code: 'ENOENT' });
  await expect(service.start(calm)).rejects.toMatchObject({ code: 'SERVICE_START_FAILED' });
});

test('slow ones are waited for', async () => {
  await running();
  const service = server.of(
    runner({ stop: '(sleep 0.4; rm "$1") &', start: '(sleep 0.4; touch "$1") >/dev/null 2>&1 &' }),
  );
  expect(await service.stop(calm)).toMatchObject({ status: 'stopped' });
  expect(await service.start(calm)).toMatchObject({ status: 'running' });
});

test('a command that hangs is ended at its limit, with all it started', async () => {
  await running();
  const hanging = 'echo waiting for the disk; sleep 4711 & sleep 4711';
  await expect(server.of(runner({ stop: hanging }, { order: 0.7 })).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining('its stop did not end within 0.7 s'),
  });
  await rm(flag);
  await expect(server.of(runner({ start: hanging }, { order: 0.7 })).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringContaining('it must return while the service runs on'),
  });
  const { stdout } = await server.session.run(['pgrep', '-fx', 'sleep 4711'], { signal: calm });
  expect(stdout.toString()).toBe('');
});

test('an abort ends a command, and its reason is the error', async () => {
  await running();
  const controller = new AbortController();
  const reason = new Error('enough');
  const stopping = server.of(runner({ stop: 'touch "$1.begun"; sleep 4712' })).stop(controller.signal);
  const rejected = expect(stopping).rejects.toBe(reason);
  await begun(server, `${flag}.begun`);
  controller.abort(reason);
  await rejected;
  const { stdout } = await server.session.run(['pgrep', '-fx', 'sleep 4712'], { signal: calm });
  expect(stdout.toString()).toBe('');
  const aborted = AbortSignal.abort(reason);
  await expect(server.of(runner({})).state(aborted)).rejects.toBe(reason);
  await expect(server.of(runner({})).start(aborted)).rejects.toBe(reason);
});

test('a cut connection says nothing of the service', async () => {
  const other = await startServer();
  await running();
  const stopping = other.of(runner({ stop: 'touch "$1.cut"; sleep 3' })).stop(calm);
  const rejected = expect(stopping).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  await begun(server, `${flag}.cut`);
  await other.sshd.cutConnections();
  await rejected;
  expect(await server.of(runner({})).state(calm)).toMatchObject({ status: 'running' });
  await other.stop();
});

test('much output does no harm, and its end is told', async () => {
  await running();
  const stop = 'i=0; while [ $i -lt 3000 ]; do echo "line $i"; i=$((i+1)); done; exit 9';
  await expect(server.of(runner({ stop })).stop(calm)).rejects.toMatchObject({
    message: expect.stringContaining('exited with code 9: line 2997; line 2998; line 2999. Now'),
  });
  const endless = runner({ status: 'yes' }, { status: 0.5 });
  expect(await server.of(endless).state(calm)).toMatchObject({ status: 'unknown' });
});

test('what it starts has neither our locale nor our temporary files', async () => {
  const start = 'env >"$1.env"; umask >>"$1.env"; ls -l /proc/$$/fd >"$1.fds"; touch "$1"';
  await server.of(runner({ start })).start(calm);
  const env = await readFile(`${flag}.env`, 'utf8');
  expect(env).not.toMatch(/^LC_ALL=/m);
  expect(env).toMatch(/^0022$/m);
  const { stdout } = await server.session.run(['mktemp', '-d'], { signal: calm });
  expect(stdout.toString().startsWith(`${server.temporary}/`)).toBe(true);
  expect(await readdir(server.temporary)).toEqual([basename(stdout.toString().trim())]);
});

async function begun({ session }: TestServer, file: string): Promise<void> {
  const wait = 'while [ ! -e "$1" ]; do sleep 0.05; done';
  await session.run(['sh', '-c', wait, 'sh', file], { signal: calm });
}
