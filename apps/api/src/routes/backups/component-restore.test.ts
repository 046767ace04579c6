// Document 2's restore and its status: which services, which server, and what is refused before anything starts.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RestorePlan } from '@tarfleet/contracts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';

let world: BackupWorld;
let backup: string;
beforeAll(async () => {
  world = await openBackupWorld();
  await world.t.db.services.create({
    ...{ serverId: world.serverId, name: 'settings', type: 'files', component: 'configurations' },
    ...{
      configPaths: ['/etc/app'],
      dataPaths: [],
      exclude: [],
      backupPriority: 0,
      dependsOn: [],
      settings: {},
    },
  });
  backup = await world.backedUp();
});
afterAll(() => world.close());

const restore = (body: object, token = world.token) =>
  world.t.ask('POST', '/api/backups/restore', { token, body: { backup_id: backup, ...body } });
const refused = async (body: object, token = world.token) => {
  const answer = await restore(body, token);
  return [answer.statusCode, answer.json().code, answer.json().message] as const;
};
const status = async (id: string) => {
  const answer = await world.t.ask('GET', `/api/backups/restore/status/${id}`, { token: world.token });
  return answer.json().data;
};
const accepted = async (body: object) => {
  const answer = await restore(body);
  expect([answer.statusCode, answer.body]).toEqual([202, expect.any(String)]);
  const { data, message } = answer.json();
  expect(message).toBe('Restore initiated successfully');
  const plan = JSON.parse((await world.t.db.jobs.get(data.restore_id))!.plan) as RestorePlan;
  return { data, plan };
};
const end = (id: string, message: string) =>
  world.end(
    { id, kind: 'restore' },
    {
      failure: { code: 'RESTORE_FAILED', message, retryable: false },
      result: restoreResult({ outcome: 'rolled_back' }),
    },
  );

test('components choose the services, and its status tells their phases', async () => {
  const { data, plan } = await accepted({ components: ['configurations'] });
  expect(data).toMatchObject({
    ...{ backup_id: backup, status: 'in_progress', warnings: [] },
    ...{
      estimated_duration_seconds: expect.any(Number),
      progress_url: expect.stringContaining(data.restore_id),
    },
  });
  const { artifacts } = (await world.t.db.backups.get(backup))!;
  const settings = artifacts.find(({ component }) => component === 'configurations')!;
  expect(plan).toMatchObject({
    ...{ serviceIds: [settings.serviceId], overwrite: true, rollback: true, restorePath: null },
    server: { id: world.serverId },
  });
  const { data: listed } = (await world.t.ask('GET', data.progress_url, { token: world.token })).json();
  expect(listed).toMatchObject({
    ...{ restore_id: data.restore_id, backup_id: backup, status: 'in_progress', current_phase: 'queued' },
    phases_completed: [],
    phases_remaining: ['verification', 'preparation', 'configuration_restore', 'post_restore_validation'],
    ...{ warnings: [], errors: [] },
  });
  await world.begin({ id: data.restore_id, kind: 'restore' });
  expect(await status(data.restore_id)).toMatchObject({ current_phase: 'preparation' });
  await end(data.restore_id, 'nginx is not healthy.');
  expect(await status(data.restore_id)).toMatchObject({
    ...{ status: 'rolled_back', current_phase: 'rolled_back', estimated_remaining_seconds: 0 },
    errors: [expect.stringContaining('nginx is not healthy.')],
  });
});

test('all components are a full restore, of one server', async () => {
  const { data } = await accepted({});
  expect((await world.t.db.restores.get(data.restore_id))!.restoreType).toBe('full');
  await end(data.restore_id, 'x');

  const { id: otherId } = await world.t.db.servers.create({
    ...{ projectId: world.projectId, name: 'db2', kind: 'ssh', host: 'db2.example.com', port: 22 },
    ...{ username: 'root', authType: 'private_key', hostKeyFingerprint: `SHA256:${'b'.repeat(43)}` },
    ...{ pool: 'default', becomeMethod: null, jumpId: null, environment: null },
    sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
  });
  const { id: serviceId } = await world.t.db.services.create({
    ...{ serverId: otherId, name: 'far', type: 'files', component: 'files', configPaths: [] },
    ...{ dataPaths: ['/srv/far'], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
  const both = await world.backedUp();
  const { token } = await world.t.as('admin');
  expect(await refused({ backup_id: both, components: ['files'] }, token)).toEqual([
    400,
    'VALIDATION_FAILED',
    expect.stringMatching(/server_id is required.*db1.*db2/),
  ]);
  const one = await accepted({ backup_id: both, components: ['files'], server_id: otherId });
  expect(one.plan).toMatchObject({ serviceIds: [serviceId], server: { id: otherId } });
  await end(one.data.restore_id, 'x');
  await world.t.db.services.delete(serviceId);
  await world.t.db.servers.delete(otherId);
});

test('options for files are those of the other routes', async () => {
  const files = { restore_path: '/restore/files/', overwrite_existing: false };
  const { data, plan } = await accepted({ components: ['files'], restore_options: { files } });
  expect(plan).toMatchObject({ restorePath: '/restore/files', overwrite: false });
  expect(data.warnings).toEqual(['Files will be restored below /restore/files, not to their own paths.']);
  await end(data.restore_id, 'x');
  const own = await accepted({ restore_options: { files: { overwrite_existing: false } } });
  expect(own.plan).toMatchObject({ restorePath: null, overwrite: false });
  expect(own.data.warnings).toEqual([expect.stringContaining('Files that exist are left')]);
  await end(own.data.restore_id, 'x');
});

test('an environment is the label of a server', async () => {
  expect(await refused({ target_environment: 'staging' })).toEqual([
    404,
    'NOT_FOUND',
    expect.stringContaining('environment staging'),
  ]);
  const add = async (name: string): Promise<string> => {
    const { id } = await world.t.db.servers.create({
      ...{ projectId: world.projectId, name, kind: 'ssh', host: `${name}.example.com`, port: 22 },
      ...{ username: 'root', authType: 'private_key', pool: 'default' },
      ...{
        hostKeyFingerprint: `SHA256:${'a'.repeat(43)}`,
        becomeMethod: null,
        jumpId: null,
        environment: null,
      },
      sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
    });
    return id;
  };
  const label = async (id: string, environment: string | null) => {
    const answer = await world.t.ask('PATCH', `/api/servers/${id}`, {
      token: world.token,
      body: { environment },
    });
    expect(answer.json()).toMatchObject({ data: { environment } });
  };
  const first = await add('first');
  await label(first, 'staging');
  const { data, plan } = await accepted({ target_environment: 'staging' });
  expect(plan.server.id).toBe(first);
  await end(data.restore_id, 'x');
  const second = await add('second');
  await label(second, 'staging');
  expect(await refused({ target_environment: 'staging' })).toEqual([
    400,
    'VALIDATION_FAILED',
    expect.stringMatching(/several servers.*(first|second)/),
  ]);
  // The server that was backed up comes before all others of its label.
  await world.t.db.servers.update(world.serverId, { environment: 'staging' });
  const back = await accepted({ target_environment: 'staging' });
  expect(back.plan.server.id).toBe(world.serverId);
  await end(back.data.restore_id, 'x');
  await world.t.db.servers.update(world.serverId, { environment: null });
});

test('what cannot be done is refused before anything starts', async () => {
  // As somebody else: one asks for ten restores an hour.
  const { token: other } = await world.t.as('admin');
  expect(await refused({ components: ['files', 'database'] }, other)).toEqual([
    404,
    'COMPONENT_NOT_FOUND',
    'The backup holds no component database. It holds: configurations, files.',
  ]);
  const at = { point_in_time: '2024-01-15T14:30:00Z' };
  expect(await refused({ restore_options: { database: at } }, other)).toEqual([
    400,
    'NOT_SUPPORTED',
    expect.anything(),
  ]);
  expect(await refused({ server_id: crypto.randomUUID() }, other)).toEqual([
    400,
    'VALIDATION_FAILED',
    expect.anything(),
  ]);
  expect(await refused({ backup_id: crypto.randomUUID() }, other)).toEqual([
    404,
    'BACKUP_NOT_FOUND',
    expect.anything(),
  ]);
  expect(await refused({ component: ['files'] }, other)).toEqual([
    400,
    'VALIDATION_FAILED',
    expect.anything(),
  ]);
  const unknown = await world.t.ask('GET', `/api/backups/restore/status/${crypto.randomUUID()}`, {
    token: world.token,
  });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'NOT_FOUND']);
  const { token } = await world.t.as('operator', world.projectId);
  expect((await restore({}, token)).statusCode).toBe(403);
});

test('a dry run is a look, and no restore', async () => {
  const answer = await restore({ dry_run: true });
  expect(answer.statusCode).toBe(202);
  const { data, message } = answer.json();
  expect([data.status, message]).toEqual(['in_progress', 'Restore validation initiated successfully']);
  expect((await world.t.db.jobs.get(data.restore_id))!.kind).toBe('preview');
  expect(await world.t.db.restores.get(data.restore_id)).toBeNull();
});
