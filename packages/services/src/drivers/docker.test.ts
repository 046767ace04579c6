/** The docker driver against a stand-in that answers as docker's manual says; docker itself cannot run here. */
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { DockerRunner } from '@tarfleet/contracts';
import { calm, quick, startServer, type TestServer } from '../testing/world.ts';

let server: TestServer;
beforeAll(async () => {
  server = await startServer(['docker']);
});
afterAll(() => server.stop());

const runner: DockerRunner = { kind: 'docker', container: 'db', stopSeconds: 30, startSeconds: 30 };
const RUNNING = { Status: 'running', ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z' };
const EXITED = { Status: 'exited', ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z' };
const only = (container: object) => server.set({ containers: { db: container } });

const FORMAT = '{{index .Config.Labels "com.docker.compose.oneoff"}} {{json .State}}';
const INSPECT = ['docker', 'inspect', '--type', 'container', '--format', FORMAT, 'db'];

test.each([
  [RUNNING, 'running', true, 'running'],
  [{ Status: 'paused' }, 'changing', true, 'paused'],
  [{ Status: 'restarting', ExitCode: 1 }, 'changing', true, 'last exited with code 1'],
  [{ Status: 'created' }, 'stopped', false, 'never started'],
  [EXITED, 'stopped', false, 'exited with code 0'],
  [{ Status: 'exited', ExitCode: 143 }, 'stopped', false, 'code 143'],
  [{ Status: 'exited', ExitCode: 137, OOMKilled: true }, 'failed', false, 'for want of memory'],
  [{ Status: 'exited', ExitCode: 1 }, 'failed', false, 'code 1'],
  [{ Status: 'created', Error: 'port is already allocated' }, 'failed', false, 'already allocated'],
  [{ Status: 'dead' }, 'failed', false, 'dead'],
  [{ Status: 'dreaming' }, 'unknown', false, 'dreaming'],
])('of a container that is %j the state is %s', async (state, status, up, detail) => {
  await only({ states: [state] });
  expect(await server.of(runner).state(calm)).toMatchObject({
    ...{ status, up, detail: expect.stringContaining(detail) },
  });
  expect(await server.commands()).toEqual([INSPECT]);
});

test('a container that is not there, and a daemon that is not', async () => {
  await server.set({ containers: {} });
  await expect(server.of(runner).state(calm)).rejects.toMatchObject({ code: 'SERVICE_NOT_FOUND' });
  await server.set({ down: true });
  expect(await server.of(runner).state(calm)).toMatchObject({
    ...{
      status: 'unknown',
      up: false,
      detail: expect.stringContaining('Cannot connect to the Docker daemon'),
    },
  });
  await expect(server.of(runner).stop(calm)).rejects.toMatchObject({ code: 'SERVICE_STATE_UNKNOWN' });
  expect((await server.commands()).map(([, verb]) => verb)).toEqual(['inspect', 'inspect']);
});

test('a server without docker is told so', async () => {
  const bare = await startServer();
  await expect(bare.of(runner).state(calm)).rejects.toMatchObject({ code: 'TOOL_MISSING' });
  await bare.stop();
});

test('it is stopped, and started, and looked at before and after', async () => {
  await only({ states: [RUNNING], stop: { states: [RUNNING, EXITED] }, start: { states: [RUNNING] } });
  expect(await server.of(runner).stop(calm)).toMatchObject({ status: 'stopped' });
  expect(await server.commands()).toEqual([INSPECT, ['docker', 'stop', '-t', '30', 'db'], INSPECT, INSPECT]);
  expect(await server.of(runner).start(calm)).toMatchObject({ status: 'running' });
  expect((await server.commands()).slice(4, 6)).toEqual([INSPECT, ['docker', 'start', 'db']]);
});

test('what is stopped is not stopped again, what runs is not started again', async () => {
  await only({ states: [EXITED] });
  expect(await server.of(runner).stop(calm)).toMatchObject({ status: 'stopped' });
  await only({ states: [RUNNING] });
  expect(await server.of(runner).start(calm)).toMatchObject({ status: 'running' });
  expect((await server.commands()).every(([, verb]) => verb === 'inspect')).toBe(true);
});

test('a stop that returns while it runs on is found out, and one that docker refuses is told', async () => {
  await only({ states: [RUNNING], stop: {} });
  // Docker itself has 30 s more.
  const short = { ...runner, stopSeconds: -27 };
  await expect(server.of(short).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringMatching(/shop still runs .* Now: running\. Look at: docker logs --tail 50 db\./),
    details: { service: 'shop', status: 'running', detail: 'running' },
  });
  const error = 'Error response from daemon: cannot stop container: db: permission denied';
  await only({ states: [RUNNING], stop: { error } });
  await expect(server.of(runner).stop(calm)).rejects.toMatchObject({
    code: 'SERVICE_STOP_FAILED',
    message: expect.stringContaining(`exited with code 1: ${error}`),
  });
});

test.each([
  ['exits at once', { states: [{ Status: 'exited', ExitCode: 1 }] }, /does not run.*exited with code 1/],
  ['exits after a moment', { states: [RUNNING, { Status: 'exited', ExitCode: 2 }] }, /ended at once.*code 2/],
  [
    'restarts again and again',
    { states: [RUNNING, { Status: 'restarting', ExitCode: 3 }] },
    /ended at once.*code 3/,
  ],
  [
    'has restarted between two looks',
    { states: [RUNNING, { ...RUNNING, StartedAt: '2026-01-01T00:00:09Z' }] },
    /ended at once, and was started again/,
  ],
  [
    'is refused',
    { error: 'Error response from daemon: driver failed: port is already allocated' },
    /already allocated/,
  ],
])('a start after which the container %s fails', async (_, start, message) => {
  await only({ states: [EXITED], start });
  await expect(server.of(runner).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringMatching(message),
  });
});

test('a start that hangs is ended at its limit, with what it said', async () => {
  await only({ states: [EXITED], start: 'hang' });
  await expect(server.of({ ...runner, startSeconds: 1 }).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringContaining('did not end within 1 s: still at it'),
  });
});

test('an abort ends a stop with its reason, a cut connection with its error', async () => {
  await only({ states: [RUNNING], stop: 'hang' });
  const controller = new AbortController();
  const reason = new Error('no longer wanted');
  const stopping = server.of(runner).stop(controller.signal);
  while ((await server.commands()).length < 2) await server.session.run(['sleep', '0.05'], { signal: calm });
  controller.abort(reason);
  await expect(stopping).rejects.toBe(reason);

  const other = await startServer(['docker']);
  await other.set({ containers: { db: { states: [RUNNING], stop: 'hang' } } });
  const cut = other.of(runner).stop(calm);
  const failed = expect(cut).rejects.toMatchObject({ code: 'CONNECTION_LOST', retryable: true });
  while ((await other.commands()).length < 2) await server.session.run(['sleep', '0.05'], { signal: calm });
  await other.sshd.cutConnections();
  await failed;
  await other.stop();
});

const health = (Status: string, Output?: string) => ({
  ...RUNNING,
  Health: { Status, Log: Output === undefined ? [] : [{ ExitCode: 1, Output }] },
});
const check = quick({ type: 'container' });

test('the container’s own health is waited for, and its last words are told', async () => {
  const db = (...states: object[]) => only({ states });
  const look = () => server.of(runner, { healthCheck: check }).health(calm);
  await db(health('starting'), RUNNING, health('healthy'));
  expect(await look()).toEqual({ healthy: true, tries: 2, detail: 'the container is healthy' });
  await db(health('unhealthy', 'connection\nrefused'));
  expect(await look()).toEqual({
    ...{ healthy: false, tries: 3, reason: 'the container is unhealthy: connection; refused' },
  });
  await db(RUNNING);
  expect(await look()).toMatchObject({
    healthy: false,
    tries: 1,
    reason: expect.stringMatching(/no health check/),
  });
  await db(health('starting'), { Status: 'exited', ExitCode: 1 });
  expect(await look()).toMatchObject({
    healthy: false,
    tries: 1,
    reason: expect.stringMatching(/no longer runs: exited with code 1/),
  });
});

test('without a check it is healthy while it runs', async () => {
  await only({ states: [RUNNING] });
  expect(await server.of(runner).health(calm)).toMatchObject({ healthy: true });
  await only({ states: [EXITED] });
  expect(await server.of(runner).health(calm)).toMatchObject({
    healthy: false,
    reason: expect.stringMatching(/does not run/),
  });
});

test('a guard is set before what changes something, and before nothing else', async () => {
  await only({ states: [RUNNING], stop: { states: [EXITED] }, start: { states: [RUNNING] } });
  const guarded: string[][] = [];
  const service = server.of(runner, {}, (argv) => {
    guarded.push([...argv]);
    return ['sh', '-c', 'exec "$@"', 'guard', ...argv];
  });
  await service.stop(calm);
  await service.start(calm);
  expect(guarded).toEqual([
    ['docker', 'stop', '-t', '30', 'db'],
    ['docker', 'start', 'db'],
  ]);
});
