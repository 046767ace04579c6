// Restores of running servers, as operators do them: real nginx, redis and mariadb that depend on each other.
import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, jest, test } from '@jest/globals';
import { prepareRealServices, type RealService, type RealServices } from '@tarfleet/testbed';
import { until } from './until.ts';
import { createWorld, type World } from './world.ts';

jest.setTimeout(480_000);
let here: World;
let real: RealServices;
let backupId: string;
let serverId: string;
const ids: Record<string, string> = {};

const NAMES = ['redis', 'mariadb', 'nginx'] as const;
type Name = (typeof NAMES)[number];
const FOLDERS: Record<Name, string> = { redis: 'redis', mariadb: 'mariadb', nginx: 'www' };

const web = async (): Promise<string> =>
  (await fetch(`http://127.0.0.1:${real.nginx.port}/`).catch(() => null))?.text() ?? '';
const start = (name: Name): Promise<unknown> => onServer(real[name].runner.start.argv);
const stop = (name: Name): Promise<unknown> => onServer(real[name].runner.stop.argv);

/** As an operator would, in a shell of the server's own. */
async function onServer(argv: readonly string[]): Promise<void> {
  const { spawn } = await import('node:child_process');
  const [command = '', ...args] = argv;
  const child = spawn(command, args, { stdio: 'ignore', detached: true });
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => (code === 0 ? resolve() : reject(new Error(`${command}: ${code}`))));
  });
}

const isUp = async (name: Name): Promise<boolean> =>
  onServer(real[name].runner.status.argv).then(
    () => true,
    () => false,
  );
const untilUp = (name: Name) => until(`${name} runs`, () => isUp(name));
const untilDown = (name: Name) => until(`${name} stands`, async () => !(await isUp(name)));

function settingsOf({ runner, port }: RealService, check: object, more: object) {
  const { stop, start, status } = runner;
  return {
    ...{ type: 'command', stop: { command: stop.argv }, start: { command: start.argv } },
    ...{ status: { command: status.argv } },
    health_check: { ...{ port, interval_seconds: 1, retries: 5, timeout_seconds: 5 }, ...check },
    ...more,
  };
}

beforeAll(async () => {
  here = await createWorld('postgres');
  real = await prepareRealServices();
  serverId = await here.addServer('box');
  const data = (name: Name): string[] => [join(real.dir, FOLDERS[name])];
  for (const name of NAMES) {
    await start(name);
    await untilUp(name);
  }
  const { port } = real.nginx;
  ids.redis = await here.addService(
    serverId,
    'redis',
    data('redis'),
    settingsOf(real.redis, { type: 'tcp' }, {}),
  );
  ids.mariadb = await here.addService(
    serverId,
    'mariadb',
    data('mariadb'),
    settingsOf(real.mariadb, { type: 'tcp' }, { backup_priority: 90 }),
  );
  const page = { type: 'http', port: undefined, url: `http://127.0.0.1:${port}/`, body_contains: 'hello' };
  ids.nginx = await here.addService(
    serverId,
    'nginx',
    data('nginx'),
    settingsOf(real.nginx, page, { depends_on: ['redis', 'mariadb'] }),
  );

  await real.sql('create database shop; create table shop.sold (n int); insert into shop.sold values (1)');
  await stop('redis');
  await untilDown('redis');
  await start('redis');
  await untilUp('redis');
  // What a running database writes is another matter: as files, these stand still for the backup.
  for (const name of ['nginx', 'mariadb', 'redis'] as const) {
    await stop(name);
    await untilDown(name);
  }
  backupId = await here.startBackup();
  expect(await here.client.ended(backupId)).toMatchObject({ state: 'completed' });
  for (const name of NAMES) {
    await start(name);
    await untilUp(name);
  }
});
afterAll(async () => {
  await here?.close();
  await real?.remove();
});

/** To its end, however long a busy machine takes for it. */
async function restore(body: object) {
  const answer = await here.client.request('POST', `/api/backups/${backupId}/restore`, body);
  expect([answer.status, answer.body]).toEqual([202, expect.objectContaining({ success: true })]);
  const id: string = answer.body.data.restoreJobId;
  await here.client.ended(id, 230_000);
  return jobOf(id);
}
const jobOf = async (id: string) => (await here.client.must('GET', `/api/backups/restore-jobs/${id}`)).data;
const damage = async (): Promise<void> => {
  await real.sql('insert into shop.sold values (2)');
  await writeFile(join(real.dir, 'www/index.html'), 'hello no more');
};
const sold = (): Promise<string> => real.sql('select count(*) from shop.sold');

test('a full restore with everything that makes it safe', async () => {
  await damage();
  expect([await web(), await sold()]).toEqual(['hello no more', '2']);
  const pids = await Promise.all(NAMES.map((name) => real[name].pid()));
  const job = await restore({ restoreType: 'full', verifyIntegrity: true, createRollbackPoint: true });
  expect([await web(), await sold()]).toEqual(['hello from nginx\n', '1']);
  const after = await Promise.all(NAMES.map((name) => real[name].pid()));
  expect(after.filter((pid, at) => pid === null || pid === pids[at])).toEqual([]);

  expect(job.services_restored.sort()).toEqual([...NAMES].sort());
  expect(job).toMatchObject({
    ...{ status: 'completed', progress_percentage: 100, services_failed: [], error_message: null },
    rollback_path: expect.stringMatching(/\/\.tarfleet-restore-/),
  });
  const steps: { step_name: string; status: string; duration_ms: number | null }[] = job.audit_logs;
  expect(steps.map(({ step_name }) => step_name)).toEqual([
    ...['connect', 'verify_integrity', 'preflight', 'prepare_data', 'create_rollback', 'stop_services'],
    ...['restore_data', 'restart_services', 'health_checks', 'complete'],
  ]);
  for (const { status, duration_ms } of steps) {
    expect([status, duration_ms]).toEqual(['completed', expect.any(Number)]);
  }

  // Later it is taken back all the same.
  const back = await here.client.must('POST', `/api/backups/restore-jobs/${job.id}/rollback`);
  expect(await here.client.ended(back.data.rollbackJobId, 230_000)).toMatchObject({ state: 'completed' });
  expect([await web(), await sold()]).toEqual(['hello no more', '2']);
  expect(await jobOf(job.id)).toMatchObject({ status: 'rolled_back', rollback_path: null });
  expect(await readdir(real.dir)).not.toContainEqual(expect.stringMatching(/tarfleet-restore/));
  const again = await here.client.request('POST', `/api/backups/restore-jobs/${job.id}/rollback`, undefined);
  expect(again).toMatchObject({ status: 409, body: { code: 'CONFLICT' } });
});

test('one service alone, by name: what depends on it is stopped and started with it, the rest goes on', async () => {
  await damage();
  const before = await Promise.all(NAMES.map((name) => real[name].pid()));
  const job = await restore({ restoreType: 'selective', selectedServices: ['mariadb'] });
  expect(job).toMatchObject({ status: 'completed', services_restored: ['mariadb'] });
  expect([await web(), await sold()]).toEqual(['hello no more', '1']);
  const after = await Promise.all(NAMES.map((name) => real[name].pid()));
  expect(after.map((pid, at) => pid === before[at])).toEqual([true, false, false]);
});

test('a service that did not run before does not run after', async () => {
  await stop('nginx');
  await untilDown('nginx');
  expect(await restore({ restoreType: 'full' })).toMatchObject({ status: 'completed' });
  expect(await isUp('nginx')).toBe(false);
  expect([await isUp('redis'), await isUp('mariadb')]).toEqual([true, true]);
  await start('nginx');
  await untilUp('nginx');
  expect(await web()).toBe('hello from nginx\n');
});

test('a restored site that is not healthy: everything goes back, and the answer says so', async () => {
  await writeFile(join(real.dir, 'www/index.html'), 'hello, but newer');
  const route = `/api/servers/${serverId}/services/${ids.nginx}`;
  const page = { type: 'http', url: `http://127.0.0.1:${real.nginx.port}/`, retries: 2, interval_seconds: 0 };
  await here.client.must('PATCH', route, { health_check: { ...page, body_contains: 'newer' } });
  await real.sql('insert into shop.sold values (3)');
  const job = await restore({ restoreType: 'full' });
  expect(job.error_message).toMatch(/^nginx is not healthy: .* System rolled back to previous state\.$/);
  expect([await web(), await sold()]).toEqual(['hello, but newer', '2']);
  for (const name of NAMES) expect([name, await isUp(name)]).toEqual([name, true]);
  expect(job).toMatchObject({ status: 'rolled_back', rollback_path: null, services_restored: [] });
  expect(job.audit_logs.at(-1)).toMatchObject({ step_name: 'rollback', status: 'completed' });

  // Without a way back the new files stay, the services run, and everybody is told what is where.
  const quick = await restore({ restoreType: 'full', createRollbackPoint: false, verifyIntegrity: false });
  expect(await web()).toBe('hello from nginx\n');
  for (const name of NAMES) expect([name, await isUp(name)]).toEqual([name, true]);
  expect(quick).toMatchObject({
    ...{ status: 'failed', rollback_path: expect.any(String) },
    error_message: expect.stringMatching(/stay in place/),
  });

  const careless = await restore({
    ...{ restoreType: 'full', verifyIntegrity: false, createRollbackPoint: false, skipHealthChecks: true },
  });
  expect(careless).toMatchObject({ status: 'completed', rollback_path: null });
  await here.client.must('PATCH', route, { health_check: { ...page, body_contains: 'hello' } });
});

test('unknown names and paths are refused before anything stops', async () => {
  const before = await Promise.all(NAMES.map((name) => real[name].pid()));
  const named = await here.client.request('POST', `/api/backups/${backupId}/restore`, {
    ...{ restoreType: 'selective', selectedServices: ['nobody'] },
  });
  expect(named).toMatchObject({ status: 404, body: { code: 'NOT_FOUND' } });
  const path = await restore({ restoreType: 'full', paths: [join(real.dir, 'www/missing')] });
  expect(path).toMatchObject({ status: 'failed', error_message: expect.stringMatching(/does not hold/) });
  expect(await Promise.all(NAMES.map((name) => real[name].pid()))).toEqual(before);
  expect(await readFile(join(real.dir, 'www/index.html'), 'utf8')).toBe('hello from nginx\n');
});
