// What Tarfleet itself keeps of a project, through the whole system: it is in the project's backup, comes back after a
// loss, and brings back nothing that was revoked.
import { mkdir, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, test } from '@jest/globals';
import { signIn } from './client.ts';
import { recover } from './run-recover.ts';
import { createWorld, PASSWORD, type World } from './world.ts';

const WAIT = { prefer: 'wait=60' };
const CANARY = 'records-canary-5d1c';

let world: World | undefined;
afterEach(async () => {
  await world?.close();
  world = undefined;
}, 60_000);

test('a project’s own records come back with its backup, and nobody whose access was revoked', async () => {
  const here = await createWorld('postgres');
  world = here;
  const { client, sshd, dir } = here;
  const site = join(dir, 'data/site');
  await mkdir(site);
  await writeFile(join(site, 'page'), 'first');
  const stays = await here.addServer('stays');
  await here.addService(stays, 'site', [site]);
  const { data: added } = await client.must('GET', `/api/servers/${stays}`);
  const project: number = added.project_id;
  const second = await client.must('POST', '/api/servers', {
    ...{ name: 'second', kind: 'ssh', host: 'second.example.com', port: 22, username: 'root' },
    ...{ auth: { type: 'password', password: CANARY }, host_key_fingerprint: sshd.fingerprint },
  });
  const places = { type: 'local', config: { path: join(dir, 'data/elsewhere') } };
  await mkdir(places.config.path);
  const elsewhere = await client.must('POST', '/api/destinations', { name: 'elsewhere', ...places });
  const schedule = {
    ...{ name: 'weekly', type: 'full', cron: '0 3 * * 0', destination_id: elsewhere.data.id },
  };
  await client.must('POST', '/api/backups/schedule/configure', { schedules: [schedule] });
  const login = { email: 'member@example.com', password: PASSWORD };
  const member = await client.must('POST', '/api/users', { ...login, role: 'operator' });
  await client.must('POST', `/api/projects/${project}/members`, { user_id: member.data.id });
  const own = await signIn(client.url, login.email, PASSWORD);
  const { data: key } = await own.must('POST', '/api/auth/tokens', { name: 'robot' });
  const asRobot = () =>
    client.request('GET', '/api/projects', undefined, { authorization: `Bearer ${key.token}` });
  expect((await asRobot()).status).toBe(200);

  const made = await client.must('POST', `/api/projects/${project}/backups`, { name: 'all' }, WAIT);
  expect(made.data.status).toBe('completed');
  const id: string = made.data.id;
  const { data: backup } = await client.must('GET', `/api/backups/${id}`);
  expect(backup.services.map(({ name }: { name: string }) => name)).toEqual(['site']);
  const verified = await client.must('POST', `/api/backups/verify/${id}`, { test_restore: true }, WAIT);
  expect(verified.data.verification_status).toBe('passed');
  expect(Object.keys(verified.data.components_verified)).toContain('project_records');

  // Without Tarfleet: the list is one file, each record one line.
  const { data: destinations } = await client.must('GET', '/api/destinations');
  const { path } = destinations.find((one: { is_default: boolean }) => one.is_default).config;
  const folder = (await readdir(path, { recursive: true })).find((name) => name.endsWith(id)) ?? '';
  const copy = join(dir, 'data/recovered');
  const wanted = ['--service', 'project-records', '--recovery-key', here.stack.recoveryKey ?? ''];
  expect(await recover(['extract', join(path, folder), copy, ...wanted])).toMatchObject({ code: 0 });
  const lists = await readdir(join(copy, 'project-records'));
  expect(lists.sort()).toEqual([
    ...['api_keys.jsonl', 'audit_logs.jsonl', 'destinations.jsonl', 'members.jsonl', 'metadata.json'],
    ...['schedules.jsonl', 'servers.jsonl', 'services.jsonl'],
  ]);
  const servers = await readFile(join(copy, 'project-records/servers.jsonl'), 'utf8');
  expect(servers).toContain('second.example.com');
  expect(servers).not.toContain(CANARY);

  await client.must('DELETE', `/api/servers/${second.data.id}`);
  const { data: schedules } = await client.must('GET', '/api/backups/schedule');
  const [weekly] = schedules.schedules;
  await client.must('DELETE', `/api/backups/schedule/${weekly.id}`);
  await client.must('DELETE', `/api/destinations/${elsewhere.data.id}`);
  await own.must('DELETE', `/api/auth/tokens/${key.id}`);
  await client.must('DELETE', `/api/projects/${project}/members/${member.data.id}`);
  await rm(join(site, 'page'));

  const restored = await client.must('POST', `/api/backups/${id}/restore`, {}, WAIT);
  expect(restored.message).toBe('Backup restore completed successfully');
  expect(restored.data.warnings.join(' ')).toMatch(
    /1 destinations \(elsewhere\), 1 servers \(second\), 1 schedules/,
  );
  expect(await readFile(join(site, 'page'), 'utf8')).toBe('first');
  const back = await client.must('GET', `/api/servers/${second.data.id}`);
  expect(back.data).toMatchObject({ name: 'second', host: 'second.example.com', auth_type: 'password' });
  const { data: again } = await client.must('GET', '/api/backups/schedule');
  expect(again.schedules).toMatchObject([{ id: weekly.id, name: 'weekly', enabled: false, next_run: null }]);
  const tested = await client.must('POST', `/api/destinations/${elsewhere.data.id}/test`, undefined, WAIT);
  expect(tested.data.result).toMatchObject({ writable: true });

  expect((await asRobot()).status).toBe(401);
  expect((await own.request('GET', `/api/projects/${project}/backups`)).status).toBe(404);
  const read = (kind: string) => client.must('GET', `/api/projects/${project}/restored-records?kind=${kind}`);
  expect((await read('members')).data).toMatchObject([{ data: { email: login.email, role: 'operator' } }]);
  expect((await read('api_keys')).data).toMatchObject([{ data: { name: 'robot', revoked_at: null } }]);
  const log = await read('audit_logs');
  expect(log.total).toBeGreaterThan(0);
  expect((await own.request('GET', `/api/projects/${project}/restored-records?kind=members`)).status).toBe(
    403,
  );

  // Another project gets copies, and is asked for what opens nowhere but in the first one.
  const { data: other } = await client.must('POST', '/api/projects', { name: 'other' });
  const { data: target } = await client.must('POST', '/api/servers', {
    ...{ name: 'target', project_id: other.id, kind: 'ssh', host: sshd.host, port: sshd.port },
    ...{ username: sshd.username, auth: { type: 'private_key', private_key: sshd.privateKey } },
    host_key_fingerprint: sshd.fingerprint,
  });
  const there = { target_project_id: other.id, target_server_id: target.id };
  const namesThere = async () => {
    const { data } = await client.must('GET', `/api/servers?project_id=${other.id}`);
    return data.map((one: { name: string }) => one.name).sort();
  };
  // Only when it is asked for.
  await client.must('POST', `/api/backups/${id}/restore`, there, WAIT);
  expect(await namesThere()).toEqual(['target']);
  const withRecords = { ...there, records: 'missing' };
  const copied = await client.must('POST', `/api/backups/${id}/restore`, withRecords, WAIT);
  expect(copied.data.warnings.join(' ')).toContain('Give their credentials again: ');
  const { data: copies } = await client.must('GET', `/api/servers?project_id=${other.id}`);
  expect(copies.map((one: { name: string }) => one.name).sort()).toEqual(['second', 'stays', 'target']);
  const bare = copies.find((one: { name: string }) => one.name === 'second');
  const refused = await client.request('POST', `/api/servers/${bare.id}/test`);
  expect(refused.body.code).toBe('CREDENTIALS_REQUIRED');
  for (const secret of [CANARY, key.token]) expect(here.logs()).not.toContain(secret);
}, 180_000);
