// Document 5's requests as it writes them (ids and paths aside), on the whole system, with an API process killed between
// the backup before a restore and the restore.
import { mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Client, createClient } from './client.ts';
import { createWorld, type World } from './world.ts';

const ROOT = '/api/admin/backup';
let world: World;
let api: Client;
let config: string;
let startupApi: World['stack']['api'] | undefined;
beforeAll(async () => {
  world = await createWorld('redis');
  const tree = join(world.dir, 'data/tacacs');
  await mkdir(tree);
  await mkdir(join(world.dir, 'backups/tacacs'), { recursive: true });
  await mkdir(join(world.dir, 'backups/second'));
  config = join(tree, 'tacacs.conf');
  await writeFile(config, 'as it was backed up');
  const server = await world.addServer('tacacs');
  await world.addService(server, 'tacacs', [tree], { component: 'configurations' });
  const { data } = await world.client.must('POST', '/api/auth/tokens', { name: 'ci' });
  api = withToken(data.token);
}, 60_000);
afterAll(() => world?.close(), 60_000);

/** As the document sends it. */
function withToken(token: string): Client {
  const anonymous = createClient(world.stack.url, '');
  return {
    ...anonymous,
    must: (method, path, body, headers) =>
      anonymous.must(method, path, body, { ...headers, 'X-API-Token': token }),
  };
}
const ended = (id: string) => world.client.ended(id, 60_000);

test('every request of the document, as it is written', async () => {
  const { data: first } = await api.must('POST', `${ROOT}/destinations`, {
    ...{ name: 'local_daily', type: 'local', retention_days: 30 },
    config: { base_path: join(world.dir, 'backups/tacacs') },
  });
  expect(first).toMatchObject({ status: 'ok', config: { base_path: join(world.dir, 'backups/tacacs') } });
  const outside = await createClient(world.stack.url, world.client.token).request(
    'POST',
    `${ROOT}/destinations`,
    {
      ...{ name: 'outside', type: 'local', retention_days: 30, config: { base_path: '/backups/tacacs' } },
    },
  );
  expect([outside.status, outside.body.message]).toEqual([403, expect.stringContaining('nothing was saved')]);
  const { data: listed } = await api.must('GET', `${ROOT}/destinations`);
  expect(listed.destinations.map(({ name }: { name: string }) => name)).not.toContain('outside');
  expect((await api.must('GET', `${ROOT}/destinations/${first.id}`)).data).toEqual(first);
  const moved = { config: { base_path: join(world.dir, 'backups/second') } };
  const { data: changed } = await api.must('PUT', `${ROOT}/destinations/${first.id}`, moved);
  expect(changed.config).toEqual(moved.config);
  const tested = await api.must('POST', `${ROOT}/destinations/${first.id}/test`, {}, { prefer: 'wait=30' });
  expect(tested.data).toMatchObject({ reachable: true, writable: true, error: null });

  // The first process of the deployment that is to do so.
  ({ process: startupApi } = await world.stack.addApi({ BACKUP_ON_STARTUP: 'true' }));
  const startup = await startupBackup();
  const comment = { destination_id: first.id, comment: 'Pre-upgrade backup' };
  const { data: execution } = await api.must('POST', `${ROOT}/trigger`, comment);
  expect(execution).toMatchObject({ status: 'running', comment: 'Pre-upgrade backup' });
  expect((await ended(execution.execution_id)).state).toBe('completed');
  const { data: executions } = await api.must('GET', `${ROOT}/executions`);
  expect(executions.executions.map(({ id }: { id: string }) => id)).toEqual([execution.id, startup]);
  const { data: details } = await api.must('GET', `${ROOT}/executions/${execution.id}`);
  expect(details).toMatchObject({
    status: 'completed',
    file_count: 1,
    services: [{ name: 'tacacs', file_count: 1 }],
  });
  expect(details.steps.length).toBeGreaterThan(0);
  const manifest = join(moved.config.base_path, details.manifest.path);
  expect(JSON.parse(await readFile(manifest, 'utf8'))).toBeInstanceOf(Object);
  const { data: list } = await api.must('GET', `${ROOT}/list`);
  const found = list.backups.find(({ id }: { id: string }) => id === execution.id);

  await writeFile(config, 'as it is before the restore');
  const restore = { backup_path: found.backup_path, destination_id: first.id, confirm: true };
  const { data: started } = await api.must('POST', `${ROOT}/restore`, restore);
  const emergency = started.emergency_backup.execution_id;
  expect((await ended(started.restore_id)).state).toBe('completed');
  expect(await readFile(config, 'utf8')).toBe('as it was backed up');
  // What was there before the restore comes back from the backup that was made before it.
  const { data: kept } = await api.must('GET', `${ROOT}/executions/${emergency}`);
  expect(kept).toMatchObject({ triggered_by: 'emergency', status: 'completed' });
  const back = {
    backup_path: kept.backup_path,
    destination_id: first.id,
    confirm: true,
    emergency_backup: 'skip',
  };
  const { data: undone } = await api.must('POST', `${ROOT}/restore`, back);
  expect((await ended(undone.restore_id)).state).toBe('completed');
  expect(await readFile(config, 'utf8')).toBe('as it is before the restore');

  // The commonest disaster: there is nothing to make an emergency backup of.
  await rm(dirname(config), { recursive: true });
  const { data: after } = await api.must('POST', `${ROOT}/restore`, restore);
  expect((await ended(after.restore_id)).state).toBe('completed');
  expect(await readFile(config, 'utf8')).toBe('as it was backed up');

  const schedule = {
    name: 'daily',
    schedule_type: 'interval',
    schedule_value: 'hours:24',
    destination_id: first.id,
  };
  const { data: job } = await api.must('POST', `${ROOT}/schedule`, schedule);
  const act = (action: string) => api.must('POST', `${ROOT}/schedule/${job.job_id}/${action}`, {});
  expect((await act('pause')).data).toMatchObject({ status: 'paused', next_run: null });
  expect((await act('resume')).data).toMatchObject({ status: 'active', next_run: job.next_run });
  expect((await ended((await act('trigger')).data.execution_id)).state).toBe('completed');
  const { data: jobs } = await api.must('GET', `${ROOT}/schedule`);
  expect(jobs.jobs).toMatchObject([{ job_id: job.job_id, last_status: 'completed', successful_runs: 1 }]);
  await api.must('DELETE', `${ROOT}/schedule/${job.job_id}`);
  const held = await world.client.request('DELETE', `${ROOT}/destinations/${first.id}`);
  expect([held.status, held.body.code]).toEqual([409, 'DESTINATION_IN_USE']);
}, 120_000);

test('a restore follows the backup before it although the API was killed in between', async () => {
  const { data: list } = await api.must('GET', `${ROOT}/list?per_page=1`);
  const [{ backup_path, destination_id }] = list.backups;
  // No worker takes anything while it stands still.
  const [worker] = world.stack.workers;
  worker?.child.kill('SIGSTOP');
  const { data } = await api.must('POST', `${ROOT}/restore`, { backup_path, destination_id, confirm: true });
  for (const one of [world.stack.api, startupApi]) one?.child.kill('SIGKILL');
  worker?.child.kill('SIGCONT');
  // The backup ends while nobody is there to see it, and no restore can have begun.
  await sleep(3_000);
  const { url } = await world.stack.addApi();
  const client = world.client.at(url);
  expect((await client.ended(data.restore_id, 60_000)).state).toBe('completed');
  const { data: kept } = await client.must('GET', `${ROOT}/executions/${data.emergency_backup.execution_id}`);
  expect(kept.status).toBe('completed');
}, 90_000);

async function startupBackup(): Promise<string> {
  for (;;) {
    const { data } = await api.must('GET', `${ROOT}/executions`);
    const [found] = data.executions;
    if (found?.completed_at) {
      expect(found).toMatchObject({ triggered_by: 'startup', status: 'completed' });
      return found.id;
    }
    await sleep(200);
  }
}
