import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { artifactResult, backupResult } from '../../testing/run-fixture.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
});
afterAll(() => world.close());

const create = (more: object = {}) =>
  world.t.ask('POST', '/api/backups/create', {
    token: world.token,
    body: { type: 'full', encrypt: false, ...more },
  });
const status = async (id: string) =>
  (await world.t.ask('GET', `/api/backups/status/${id}`, { token: world.token })).json().data;
const end = (id: string) => world.end({ id, kind: 'backup' }, { failure: FAILURE });
const FAILURE = { code: 'STORAGE_FAILED', message: 'Full.', retryable: false } as const;

test('what a backup will take is told by the past of its services, and not made up', async () => {
  const first = await create();
  expect(first.json().data).toMatchObject({
    ...{ status: 'in_progress', estimated_duration_seconds: null, estimated_size_bytes: null },
  });
  expect(await status(first.json().data.backup_id)).toMatchObject({ estimated_remaining_seconds: null });
  await end(first.json().data.backup_id);

  const { artifacts } = (await world.t.db.backups.get(await world.backedUp()))!;
  const second = (await create()).json().data;
  expect(second.estimated_size_bytes).toBeGreaterThanOrEqual(artifacts[0]!.storedBytes!);
  const took = (artifacts[0]!.completedAt!.getTime() - artifacts[0]!.startedAt!.getTime()) / 1000;
  expect(second.estimated_duration_seconds).toBeGreaterThanOrEqual(took);
  await end(second.backup_id);

  // A service without a past makes the whole unknown.
  const { id } = await world.t.db.services.create({
    ...{ serverId: world.serverId, name: 'new', type: 'files', component: 'cache', configPaths: [] },
    ...{ dataPaths: ['/srv/new'], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
  const both = (await create()).json().data;
  expect([both.estimated_duration_seconds, both.estimated_size_bytes]).toEqual([null, null]);
  await end(both.backup_id);
  await world.t.db.services.delete(id);
});

test('what a backup took itself is no estimate of it', async () => {
  const { id } = await world.t.db.services.create({
    ...{ serverId: world.serverId, name: 'alone', type: 'files', component: 'cache', configPaths: [] },
    ...{ dataPaths: ['/srv/alone'], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
  const waiting = world.t.ask('POST', '/api/backups/create', {
    token: world.token,
    headers: { prefer: 'wait=30' },
    body: { type: 'full', encrypt: false, services: [id] },
  });
  const job = await world.running('backup');
  const { keyPrefix } = (await world.t.db.backups.get(job.id))!;
  const artifacts = (await world.t.db.jobs.children(job.id)).map((child) =>
    artifactResult(child.id, keyPrefix),
  );
  await world.end(job, { result: backupResult(keyPrefix, { artifacts }) });
  expect((await waiting).json().data).toMatchObject({
    ...{ status: 'completed', estimated_duration_seconds: null, estimated_size_bytes: null },
  });
  await world.t.db.services.delete(id);
});

test('phases are those of the components, in the order they end', async () => {
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
  const id: string = (await create({ verify: true })).json().data.backup_id;
  expect(await status(id)).toMatchObject({
    current_phase: 'queued',
    phases_completed: [],
    phases_remaining: ['configuration_backup', 'file_backup', 'verification', 'commit'],
  });
  const { artifacts } = (await world.t.db.backups.get(id))!;
  const settings = artifacts.find(({ component }) => component === 'configurations')!;
  const files = artifacts.find(({ component }) => component === 'files')!;
  await world.end({ id: settings.id, kind: 'artifact' }, { failure: FAILURE });
  await world.begin({ id: files.id, kind: 'artifact' });
  expect(await status(id)).toMatchObject({
    current_phase: 'backing_up_files',
    phases_completed: ['configuration_backup'],
    phases_remaining: ['file_backup', 'verification', 'commit'],
  });
  await end(id);
  expect(await status(id)).toMatchObject({ current_phase: 'failed' });
});

test('a location is the URL of a destination', async () => {
  const made = await world.t.ask('POST', '/api/destinations', {
    token: world.token,
    body: {
      ...{ name: 'bucket', type: 's3' },
      config: { bucket: 'backups', region: 'eu-central-1', prefix: 'manual' },
    },
  });
  const s3: string = made.json().data.id;
  const where = async (location: string) => {
    const answer = await create({ location });
    if (answer.statusCode !== 202) return [answer.statusCode, answer.json().code];
    const id: string = answer.json().data.backup_id;
    const { destinationId } = (await world.t.db.backups.get(id))!;
    await end(id);
    return destinationId;
  };
  expect(await where('s3://backups/manual')).toBe(s3);
  expect(await where('s3://backups/manual/')).toBe(s3);
  expect(await where('file:///srv/backups')).toBe(world.destinationId);
  // Only what is configured: neither a folder below it nor the bucket around it.
  for (const location of ['s3://backups', 's3://backups/manual/more', 'file:///srv', 'manual', '']) {
    expect([location, await where(location)]).toEqual([location, [404, 'NOT_FOUND']]);
  }
  const both = await create({ location: 's3://backups/manual', destination_id: s3 });
  expect([both.statusCode, both.json().code]).toEqual([400, 'VALIDATION_FAILED']);
  // Of an earlier version, which did not refuse that.
  await world.t.db.destinations.create({
    ...{ name: 'twin', type: 'local', config: { path: '/srv/backups' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
  expect(await where('file:///srv/backups')).toEqual([409, 'CONFLICT']);
});
