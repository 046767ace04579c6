/** The compose driver against a stand-in that answers as the manuals of both versions say. */
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import type { ComposeRunner } from '@tarfleet/contracts';
import { calm, quick, startServer, type TestServer } from '../testing/world.ts';

let server: TestServer;
let runner: ComposeRunner;
let folder: string;
beforeAll(async () => {
  server = await startServer(['docker', 'docker-compose']);
  folder = join(server.dir, 'my shop');
  await mkdir(folder);
  runner = {
    ...{ kind: 'docker-compose', directory: folder, files: [], project: null },
    ...{ service: 'db', stopSeconds: 30, startSeconds: 30 },
  };
});
afterAll(() => server.stop());

const RUNNING = { Status: 'running', ExitCode: 0, StartedAt: '2026-01-01T00:00:00Z' };
const EXITED = { Status: 'exited', ExitCode: 0 };
const [A, B] = ['a'.repeat(64), 'b'.repeat(64)];
const FORMAT = '{{index .Config.Labels "com.docker.compose.oneoff"}} {{json .State}}';

const versions: Record<string, { words: string[]; all: string[]; world: object; finding: string[][] }> = {
  'docker compose': {
    words: ['docker', 'compose'],
    all: ['--all'],
    world: { plugin: '2.32.4' },
    finding: [['docker', 'compose', 'version', '--short']],
  },
  'docker-compose 1': {
    words: ['docker-compose'],
    all: [],
    world: { standalone: '1.29.2' },
    finding: [
      ['docker', 'compose', 'version', '--short'],
      ['docker-compose', 'version', '--short'],
    ],
  },
  'docker-compose 2 on its own': {
    words: ['docker-compose'],
    all: ['--all'],
    world: { standalone: 'v2.20.2' },
    finding: [
      ['docker', 'compose', 'version', '--short'],
      ['docker-compose', 'version', '--short'],
    ],
  },
};

describe.each(Object.keys(versions))('%s', (name) => {
  const { words, all, world, finding } = versions[name]!;
  const set = (containers: object, ids = Object.keys(containers)) =>
    server.set({ ...world, cwd: folder, containers, services: { db: { ids } } });

  test('the command lines are as documented', async () => {
    await set({ [A]: { states: [RUNNING], stop: { states: [EXITED] }, start: { states: [RUNNING] } } });
    const service = server.of(runner);
    expect(await service.stop(calm)).toMatchObject({ status: 'stopped' });
    const ps = [...words, 'ps', '--quiet', ...all, 'db'];
    const inspect = ['docker', 'inspect', '--type', 'container', '--format', FORMAT, A];
    expect(await server.commands()).toEqual([
      ...finding,
      ...[ps, inspect],
      [...words, 'stop', '-t', '30', 'db'],
      ...[ps, inspect],
    ]);
    expect(await service.start(calm)).toMatchObject({ status: 'running' });
    expect(await server.commands()).toContainEqual([...words, 'start', 'db']);
  });

  test('files and project are named to it', async () => {
    await set({});
    const files = [join(folder, 'a.yml'), '/srv/b c.yml'];
    await server.of({ ...runner, files, project: 'shop' }).state(calm);
    expect((await server.commands()).at(-1)).toEqual([
      ...words,
      ...['-f', files[0], '-f', files[1], '-p', 'shop', 'ps', '--quiet', ...all, 'db'],
    ]);
  });

  test('several containers run only when all do, and containers of `run` do not count', async () => {
    const state = async (containers: object) => {
      await set(containers);
      return server.of(runner).state(calm);
    };
    expect(await state({})).toMatchObject({ status: 'stopped', detail: 'it has no container' });
    expect(await state({ [A]: { states: [RUNNING] }, [B]: { states: [RUNNING] } })).toMatchObject({
      ...{ status: 'running', up: true, detail: '2 of 2 containers run' },
    });
    expect(await state({ [A]: { states: [RUNNING] }, [B]: { states: [EXITED] } })).toMatchObject({
      ...{ status: 'changing', up: true, detail: '1 of 2 containers run; exited with code 0' },
    });
    expect(await state({ [A]: { states: [EXITED] }, [B]: { states: [EXITED] } })).toMatchObject({
      ...{ status: 'stopped', up: false },
    });
    const oneoff = { states: [{ Status: 'exited', ExitCode: 1 }], oneoff: 'True' };
    expect(await state({ [A]: { states: [RUNNING], oneoff: 'False' }, [B]: oneoff })).toMatchObject({
      ...{ status: 'running', detail: 'running' },
    });
  });

  test('half of its containers is no start', async () => {
    await set({
      [A]: { states: [EXITED], start: { states: [RUNNING] } },
      [B]: { states: [EXITED], start: { states: [RUNNING, { Status: 'exited', ExitCode: 7 }] } },
    });
    await expect(server.of(runner).start(calm)).rejects.toMatchObject({
      code: 'SERVICE_START_FAILED',
      message: expect.stringMatching(/ended at once.*1 of 2 containers run; exited with code 7/),
    });
  });
});

test('a service or folder that is not there', async () => {
  await server.set({ plugin: '2.32.4', cwd: folder, services: {}, containers: {} });
  await expect(server.of(runner).state(calm)).rejects.toMatchObject({
    code: 'SERVICE_NOT_FOUND',
    message: expect.stringContaining('has no service db'),
  });
  const nowhere = { ...runner, directory: join(folder, 'gone') };
  expect(await server.of(nowhere).state(calm)).toMatchObject({ status: 'unknown' });
  const elsewhere = { ...runner, directory: server.dir };
  expect(await server.of(elsewhere).state(calm)).toMatchObject({
    ...{ status: 'unknown', detail: expect.stringContaining('no configuration file provided') },
  });
});

test('neither version is there', async () => {
  const bare = await startServer();
  await expect(bare.of(runner).state(calm)).rejects.toMatchObject({
    code: 'TOOL_MISSING',
    message: expect.stringContaining('neither docker compose nor docker-compose'),
  });
  await bare.stop();
});

test('a start that hangs, and an abort of it', async () => {
  const world = {
    ...{ plugin: '2.32.4', cwd: folder, services: { db: { ids: [A] } } },
    containers: { [A]: { states: [EXITED], start: 'hang' } },
  };
  await server.set(world);
  await expect(server.of({ ...runner, startSeconds: 1 }).start(calm)).rejects.toMatchObject({
    code: 'SERVICE_START_FAILED',
    message: expect.stringContaining('did not end within 1 s'),
  });
  await server.set(world);
  const controller = new AbortController();
  const starting = server.of(runner).start(controller.signal);
  const reason = new Error('enough');
  const rejected = expect(starting).rejects.toBe(reason);
  while (!(await server.commands()).some((words) => words.includes('start'))) {
    await server.session.run(['sleep', '0.05'], { signal: calm });
  }
  controller.abort(reason);
  await rejected;
});

test('all of its containers must be healthy', async () => {
  const health = (Status: string) => ({ ...RUNNING, Health: { Status, Log: null } });
  const look = async (a: object, b: object) => {
    await server.set({
      ...{ plugin: '2.32.4', cwd: folder, services: { db: { ids: [A, B] } } },
      containers: { [A]: { states: [a] }, [B]: { states: [b] } },
    });
    return server.of(runner, { healthCheck: quick({ type: 'container' }) }).health(calm);
  };
  expect(await look(health('healthy'), health('healthy'))).toMatchObject({ healthy: true });
  expect(await look(health('healthy'), health('unhealthy'))).toMatchObject({ healthy: false, tries: 3 });
  expect(await look(health('healthy'), RUNNING)).toMatchObject({ healthy: false, tries: 1 });
});
