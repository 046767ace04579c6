// `pnpm start` as a user meets it: started, stopped, killed, started again on what it left, and misused.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from '@jest/globals';
import {
  compareTrees,
  createTestDatabase,
  makeNastyTree,
  snapshotTree,
  testRedisUrl,
} from '@tarfleet/testbed';
import { type Client, signIn } from './client.ts';
import {
  freePort,
  processesOfGroup,
  processesOn,
  runCommand,
  type StackCommand,
  startCommand,
} from './stack-command.ts';
import { until } from './until.ts';

const WAIT = { prefer: 'wait=60' };
const TOLD_BEFORE = '(as set at the first start)';

let dir = '';
/** The stack's data folder. */
let folder = '';
let tree = '';
let program: string[] = [];
let env: Record<string, string> = {};
const started: StackCommand[] = [];

beforeEach(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-stack-'));
  await chmod(dir, 0o755);
  folder = join(dir, 'stack');
  tree = join(dir, 'data/site');
  program = await startCommand();
  env = { TARFLEET_DIR: folder, PORT: String(await freePort()), LOCAL_ROOTS: join(dir, 'data') };
});

afterEach(async () => {
  for (const one of started.splice(0)) {
    one.kill('SIGKILL');
    await one.ended;
  }
  for (const { pid } of await processesOn(folder)) process.kill(pid, 'SIGKILL');
  await until('no process on the folder', async () => (await processesOn(folder)).length === 0);
  // What a killed Postgres leaves behind ends a moment later than it, and may write until then.
  await rm(dir, { recursive: true, force: true, maxRetries: 10, retryDelay: 200 });
}, 120_000);

function start(more: Record<string, string> = {}, command = program): StackCommand {
  const one = runCommand(command, { ...env, ...more });
  started.push(one);
  return one;
}

/** It ended as told, nothing of it runs any more, and nothing is left that says it does. */
async function expectStopped(one: StackCommand): Promise<void> {
  expect(await one.ended).toEqual({ code: 0, signal: null });
  expect(one.output()).toContain('Stopped.');
  await expectNothingLeft(one);
}

async function expectNothingLeft(one: StackCommand): Promise<void> {
  expect(await processesOn(folder)).toEqual([]);
  expect(await processesOfGroup(one.pid)).toEqual([]);
  const files = await readdir(folder, { recursive: true }).catch(() => []);
  expect(files.filter((name) => /stack\.lock|postmaster\.pid|\.part$/.test(name))).toEqual([]);
}

async function addSite(client: Client): Promise<void> {
  const { data } = await client.must('POST', '/api/servers', { name: 'here', kind: 'local' });
  await client.must('POST', `/api/servers/${data.id}/services`, {
    ...{ name: 'site', type: 'files', component: 'files', config_paths: [], data_paths: [tree] },
  });
}

async function backUp(client: Client): Promise<string> {
  const { data } = await client.must('POST', '/api/backups/create', { type: 'full', encrypt: false });
  return data.backup_id;
}

async function expectRestored(client: Client, id: string): Promise<void> {
  const before = await snapshotTree(tree);
  await rm(tree, { recursive: true });
  const body = { restoreType: 'full' };
  await client.must('POST', `/api/backups/${id}/restore`, body, WAIT);
  expect(compareTrees(before, await snapshotTree(tree))).toEqual([]);
}

describe('its life', () => {
  test('the first start tells the password, and the next ones have everything that was there', async () => {
    await makeNastyTree(tree);
    const first = start();
    const told = await first.ready();
    expect(told).toEqual({
      url: `http://127.0.0.1:${env.PORT}`,
      email: 'admin@localhost',
      password: expect.stringMatching(/^[\w-]{12,}$/),
    });
    expect(first.output().split(told.password)).toHaveLength(2);
    const client = await signIn(told.url, told.email, told.password);
    await addSite(client);
    const id = await backUp(client);
    expect((await client.ended(id)).state).toBe('completed');
    first.interrupt();
    await expectStopped(first);

    const second = start();
    expect(await second.ready()).toEqual({ ...told, password: TOLD_BEFORE });
    expect(second.output()).not.toContain(told.password);
    const again = await signIn(told.url, told.email, told.password);
    const { data } = await again.must('GET', `/api/backups/${id}`);
    expect(data).toMatchObject({ status: 'completed', services: [{ name: 'site' }] });
    await expectRestored(again, id);
    second.kill('SIGTERM');
    await expectStopped(second);

    const third = start();
    await third.ready();
    const last = await signIn(told.url, told.email, told.password);
    await expectRestored(last, id);
    third.kill('SIGHUP');
    await expectStopped(third);
  }, 240_000);

  test('through the package manager, Ctrl-C stops all of it', async () => {
    const one = start({}, ['npx', '-y', 'pnpm@12', 'start']);
    const { url, email, password } = await one.ready();
    await signIn(url, email, password);
    one.interrupt();
    await one.ended;
    await until('no process on the folder', async () => (await processesOn(folder)).length === 0);
    expect(one.output()).toContain('Stopped.');
    await expectNothingLeft(one);
  }, 240_000);

  test('with a database and a queue of somebody else, it uses those', async () => {
    await makeNastyTree(tree);
    const database = await createTestDatabase();
    const given = {
      DATABASE_URL: database.url,
      QUEUE_URL: testRedisUrl(),
      ADMIN_PASSWORD: 'given-password-1',
    };
    try {
      const one = start(given);
      const told = await one.ready();
      const client = await signIn(told.url, told.email, 'given-password-1');
      await addSite(client);
      const id = await backUp(client);
      expect((await client.ended(id)).state).toBe('completed');
      await expectRestored(client, id);
      expect((await processesOn(folder)).filter(({ command }) => command.includes('postgres -D'))).toEqual(
        [],
      );
      expect(await readdir(folder)).not.toContain('postgres');
      one.kill('SIGTERM');
      await expectStopped(one);
      const other = start({ ...given, ADMIN_PASSWORD: 'another-password-1' });
      expect((await other.ready()).password).toBe(TOLD_BEFORE);
      await signIn(told.url, told.email, 'given-password-1');
      other.kill('SIGTERM');
      await expectStopped(other);
    } finally {
      for (const one of started) {
        one.kill('SIGKILL');
        await one.ended;
      }
      await database.drop();
    }
  }, 240_000);
});

describe('killed', () => {
  test('in the middle of a backup, it goes on where it was at the next start', async () => {
    await mkdir(tree, { recursive: true });
    await writeFile(join(tree, 'random'), randomBytes(200 << 20));
    const first = start();
    const { url, email, password } = await first.ready();
    const client = await signIn(url, email, password);
    await addSite(client);
    const id = await backUp(client);
    for await (const { event } of client.events(id)) if (event === 'progress') break;
    const old = (await processesOn(folder)).map(({ pid }) => pid);
    first.kill('SIGKILL');
    await first.ended;

    const second = start();
    expect((await second.ready()).password).toBe(TOLD_BEFORE);
    // A connection that is still open to the old API is answered that it closes; the next one is a new one.
    const again = await until('signed in', () => signIn(url, email, password).catch(() => null));
    // Told rather than asked for again and again: users may ask a hundred times a minute.
    for await (const _event of again.events(id));
    const { data: job } = await again.must('GET', `/api/jobs/${id}`);
    expect({ state: job.state, failure: job.failure }).toEqual({ state: 'completed', failure: null });
    await expectRestored(again, id);
    await until('the old processes have ended', async () =>
      (await processesOn(folder)).every(({ pid }) => !old.includes(pid)),
    );
    second.kill('SIGTERM');
    await expectStopped(second);
  }, 300_000);

  test('its Postgres alone: all of it ends, says why, and starts again', async () => {
    const first = start();
    const { url, email, password } = await first.ready();
    const postgres = (await processesOn(folder)).find(({ command }) => command.includes('postgres -D'));
    process.kill(postgres?.pid ?? 0, 'SIGKILL');
    expect(await first.ended).toEqual({ code: 1, signal: null });
    expect(first.output()).toContain('postgres ended by itself');
    expect(await processesOn(folder)).toEqual([]);
    const second = start();
    await second.ready();
    await signIn(url, email, password);
  }, 240_000);
});

describe('a start that is cut off', () => {
  const runs = (part: string) => async (): Promise<boolean> =>
    (await processesOn(folder)).some(({ command }) => command.includes(part));
  const points: [string, () => Promise<boolean>][] = [
    ['while Postgres makes its folder', runs('initdb')],
    ['while Postgres starts', runs('postgres -D')],
    ['while the API starts', runs('apps/api')],
    ['while the worker starts', runs('apps/worker')],
  ];

  test.each(points)(
    'by SIGTERM %s',
    async (_where, reached) => {
      const first = start();
      await until('the point', reached);
      first.kill('SIGTERM');
      await expectStopped(first);
      const second = start();
      const { url, email, password } = await second.ready();
      // The admin comes last: a start that did not get there has not made a password that nobody knows.
      const known = password === TOLD_BEFORE ? (await first.ready()).password : password;
      await signIn(url, email, known);
    },
    240_000,
  );

  test.each(points)(
    'by SIGKILL %s',
    async (_where, reached) => {
      const first = start();
      await until('the point', reached);
      first.kill('SIGKILL');
      await first.ended;
      const second = start();
      const { url, email, password } = await second.ready();
      await signIn(url, email, password);
      second.kill('SIGTERM');
      expect(await second.ended).toEqual({ code: 0, signal: null });
      await until('no process on the folder', async () => (await processesOn(folder)).length === 0);
    },
    240_000,
  );
});

describe('refused', () => {
  test('a second start on a folder that is in use, and the first one goes on', async () => {
    await makeNastyTree(tree);
    const first = start();
    const { url, email, password } = await first.ready();
    const client = await signIn(url, email, password);
    await addSite(client);
    const before = (await processesOn(folder)).map(({ pid }) => pid).sort();
    const lock = await readFile(join(folder, 'stack.lock'), 'utf8');
    const second = start({ PORT: String(await freePort()) });
    expect(await second.refused()).toBe(1);
    expect(second.output()).toContain(`The folder ${folder} is in use by a Tarfleet that runs already`);
    expect(second.output()).toContain(`process ${first.pid}`);
    expect((await processesOn(folder)).map(({ pid }) => pid).sort()).toEqual(before);
    expect(await readFile(join(folder, 'stack.lock'), 'utf8')).toBe(lock);
    const id = await backUp(client);
    expect((await client.ended(id)).state).toBe('completed');
    await expectRestored(client, id);
    first.kill('SIGTERM');
    await expectStopped(first);
  }, 240_000);

  test('a port that is taken, and no password is lost by it', async () => {
    const server = createServer().listen(Number(env.PORT), '127.0.0.1');
    await once(server, 'listening');
    try {
      const one = start();
      expect(await one.refused()).toBe(1);
      expect(one.output()).toContain(`Port ${env.PORT} of 127.0.0.1 is in use by another program.`);
      expect(one.output()).not.toMatch(/^ {4}at /m);
      await expectNothingLeft(one);
    } finally {
      server.close();
      await once(server, 'close');
    }
    const { url, email, password } = await start().ready();
    await signIn(url, email, password);
  }, 240_000);

  test.each([
    [
      'a queue of an unknown kind',
      { QUEUE_URL: 'amqp://user:canary-4711@127.0.0.1/queue' },
      ["The queue's URL"],
    ],
    [
      'a database of an unknown kind',
      { DATABASE_URL: 'mysql://user:canary-4711@127.0.0.1/x' },
      ['DATABASE_URL'],
    ],
    [
      'a database that is not there',
      { DATABASE_URL: 'postgres://user:canary-4711@127.0.0.1:1/x' },
      ['database'],
    ],
    ['a queue that is not there', { QUEUE_URL: 'redis://user:canary-4711@127.0.0.1:1/0' }, ['queue']],
    [
      'several faults at once',
      { PORT: 'many', LOG_LEVEL: 'loud', WORKERS: '0', TARFLEET_DIR: 'here' },
      ['PORT', 'LOG_LEVEL', 'WORKERS', 'TARFLEET_DIR'],
    ],
    ['a bucket without keys', { DESTINATION_S3_BUCKET: 'bucket' }, ['DESTINATION_S3_ACCESS_KEY_ID']],
  ])(
    '%s',
    async (_what, more, words) => {
      const one = start(more as Record<string, string>);
      expect(await one.refused()).toBe(1);
      for (const word of words) expect(one.output()).toContain(word);
      expect(one.output()).not.toContain('canary-4711');
      expect(one.output()).not.toMatch(/^ {4}at /m);
      await expectNothingLeft(one);
    },
    240_000,
  );
});
