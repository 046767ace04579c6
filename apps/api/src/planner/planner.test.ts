import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ArtifactPlan, RestorePlan } from '@tarfleet/contracts';
import type { NewService, ServiceRecord } from '@tarfleet/db';
import type { RunDraft } from '../dispatcher.ts';
import { createRecorder } from '../recorder/record.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  type RunFixture,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';
import { type BackupRequest, planBackup } from './backup.ts';
import { planRestore, type RestoreRequest } from './restore.ts';

let t: RunFixture;
let web: ServiceRecord;
let database: ServiceRecord;
let far: ServiceRecord;
beforeAll(async () => {
  t = await openRunFixture();
  const other = await t.addServer();
  web = await t.addService(t.server.id, { name: 'web', component: 'files' });
  database = await t.addService(t.server.id, { name: 'pg', component: 'database' });
  far = await t.addService(other.id, { name: 'web', component: 'files' });
});
afterAll(() => t.close());

const plan = (change: Partial<BackupRequest>) => planBackup(t, t.request(change));
const chosen = ({ leases }: RunDraft) => [...leases].sort();
const ids = (...services: ServiceRecord[]) => services.map(({ id }) => id).sort();

test('services by component, id, name and server', async () => {
  expect(chosen(await plan({}))).toEqual(ids(web, database, far));
  expect(chosen(await plan({ components: ['database'] }))).toEqual(ids(database));
  expect(chosen(await plan({ services: [database.id] }))).toEqual(ids(database));
  expect(chosen(await plan({ services: ['web'] }))).toEqual(ids(web, far));
  expect(chosen(await plan({ services: ['web'], serverId: t.server.id }))).toEqual(ids(web));
});

test('what is not there is named, and nothing is guessed', async () => {
  const code = (wanted: string) => expect.objectContaining({ code: wanted });
  await expect(plan({ components: ['files', 'cache'] })).rejects.toEqual(code('COMPONENT_NOT_FOUND'));
  await expect(plan({ services: ['web', 'nope'] })).rejects.toEqual(code('NOT_FOUND'));
  await expect(plan({ services: ['pg'], serverId: far.serverId })).rejects.toEqual(code('NOT_FOUND'));
  await expect(plan({ serverId: crypto.randomUUID() })).rejects.toEqual(code('NOT_FOUND'));
  await expect(plan({ components: ['database'], services: [web.id] })).rejects.toEqual(
    code('NOTHING_TO_BACK_UP'),
  );
  await expect(plan({ destinationId: crypto.randomUUID() })).rejects.toEqual(code('NOT_FOUND'));
  await t.db.destinations.update(t.destination.id, { isDefault: false });
  await expect(plan({})).rejects.toEqual(code('NOT_FOUND'));
  expect(chosen(await plan({ destinationId: t.destination.id }))).toHaveLength(3);
  await t.db.destinations.update(t.destination.id, { isDefault: true });
});

test('a host whose key nobody has seen, and a pool that nobody knows, are refused', async () => {
  const unpinned = await t.addService((await t.addServer({ hostKeyFingerprint: null })).id);
  await expect(plan({ services: [unpinned.id] })).rejects.toMatchObject({ code: 'HOST_KEY_NOT_PINNED' });
  const jump = await t.addServer({ hostKeyFingerprint: null });
  const behind = await t.addService((await t.addServer({ jumpId: jump.id })).id);
  await expect(plan({ services: [behind.id] })).rejects.toMatchObject({ code: 'HOST_KEY_NOT_PINNED' });
  const nowhere = await t.addService((await t.addServer({ pool: 'mars' })).id);
  await expect(plan({ services: [nowhere.id] })).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
});

test('a destination that is moved between plan and record is not written to', async () => {
  const draft = await plan({ services: [web.id] });
  const { config } = t.destination;
  await t.db.destinations.update(t.destination.id, { config: { ...config, path: '/elsewhere' } });
  await expect(t.db.transaction((tx) => draft.record(tx))).rejects.toMatchObject({ code: 'CONFLICT' });
  await t.db.destinations.update(t.destination.id, { config });
  expect(await t.db.backups.get(draft.root.id)).toBeNull();
});

async function completedBackup(...services: ServiceRecord[]) {
  const { job, children } = await t.storeBackup(services);
  const { keyPrefix } = (await t.db.backups.get(job.id))!;
  const artifacts = children.map(({ id }) => artifactResult(id, keyPrefix));
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
  const result = backupResult(keyPrefix, { artifacts });
  await recorder.record(attemptOf(job)(1, STARTED, { type: 'ended', state: 'completed', result }));
  return (await t.db.backups.get(job.id))!;
}
const restore = (backup: RestoreRequest['backup'], change: Partial<RestoreRequest> = {}) =>
  planRestore(t, {
    ...{ backup, userId: t.user.id, requestId: 'r', services: null, paths: null, restorePath: null },
    ...{ target: null, overwrite: true, rollback: true, keepHours: 24, healthChecks: true },
    dropExisting: false,
    ...{ verifyIntegrity: true, mayUseLocal: false },
    ...change,
  });

test('a restore is for one server: of several it asks to choose', async () => {
  const backup = await completedBackup(web, far);
  await expect(restore(backup)).rejects.toMatchObject({ code: 'VALIDATION_FAILED' });
  expect((await restore(backup, { services: [far.id] })).leases).toEqual([far.id]);
  await expect(restore(backup, { services: ['pg'] })).rejects.toMatchObject({ code: 'NOT_FOUND' });
});

test('an unfinished backup is not restored', async () => {
  const { job } = await t.storeBackup([web]);
  const backup = (await t.db.backups.get(job.id))!;
  await expect(restore(backup)).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
});

test('a local server is restored to by administrators alone', async () => {
  const local = await t.addServer({
    kind: 'local',
    host: null,
    port: null,
    username: null,
    sealed: null,
    authType: 'none',
  });
  const service = await t.addService(local.id);
  const backup = await completedBackup(service);
  await expect(restore(backup)).rejects.toMatchObject({ code: 'INSUFFICIENT_PERMISSIONS' });
  expect((await restore(backup, { mayUseLocal: true })).leases).toEqual([service.id]);
});

const planOf = (draft: RunDraft) => JSON.parse(draft.root.plan) as RestorePlan;
const systemd = (name: string, dataPaths: string[], change: Partial<NewService> = {}) => ({
  ...{ name, type: 'systemd', configPaths: [], dataPaths, settings: { unit: `${name}.service` } },
  ...change,
});

test('the plan says what is stopped, checked and kept; all of it is leased', async () => {
  const server = await t.addServer();
  const pg = await t.addService(server.id, systemd('pg', ['/var/lib/pg']));
  const app = await t.addService(server.id, systemd('app', ['/srv/app'], { dependsOn: ['pg'] }));
  await t.addService(server.id, systemd('inner', ['/var/lib/pg/spare']));
  const far = await t.addService(server.id, systemd('far', ['/srv/far']));
  const backup = await completedBackup(pg, far);
  const draft = await restore(backup, { services: ['pg'] });
  const plan = planOf(draft);
  expect(plan).toMatchObject({
    ...{ rollback: true, keepHours: 24, healthChecks: true, overwrite: true, keep: ['/var/lib/pg/spare'] },
    startOrder: [[expect.any(String), expect.any(String)], [app.id]],
  });
  expect(plan.services.map(({ name }) => name).sort()).toEqual(['app', 'inner', 'pg']);
  expect(draft.leases).toHaveLength(3);
  expect(draft.leases).toEqual(expect.arrayContaining([pg.id, app.id]));

  const elsewhere = await restore(backup, { services: ['pg'], restorePath: '/mnt', rollback: false });
  expect(planOf(elsewhere)).toMatchObject({ services: [], stopOrder: [], keep: [], rollback: false });
  expect(elsewhere.leases).toEqual([pg.id]);
});

test('another server: its own services are concerned, its pool does the work', async () => {
  const pg = await t.addService((await t.addServer()).id, systemd('pg', ['/var/lib/pg']));
  const backup = await completedBackup(pg);
  const target = await t.addServer();
  const twin = await t.addService(target.id, systemd('pg', ['/var/lib/pg']));
  const draft = await restore(backup, { target });
  expect(planOf(draft)).toMatchObject({ server: { id: target.id }, services: [{ id: twin.id }], keep: [] });
  expect([...draft.leases].sort()).toEqual([pg.id, twin.id].sort());
  const mars = await t.addServer({ pool: 'mars' });
  await expect(restore(backup, { target: mars })).rejects.toMatchObject({ code: 'POOL_NOT_FOUND' });
});

test('folders of destinations on the server travel with the plan, and are no paths of it', async () => {
  const local = await t.addServer({
    ...{ kind: 'local', host: null, port: null, username: null, sealed: null, authType: 'none' },
  });
  const add = (name: string, type: string, config: Record<string, unknown>) =>
    t.db.destinations.create({
      ...{ name, type, config, secretCiphertext: null, retentionDays: null, isDefault: false },
    });
  const inner = await add('inner', 'local', { path: '/srv/self/daily' });
  const remote = { host: 'DB1.example.com', port: 22, username: 'u', hostKey: 'SHA256:x' };
  const far = await add('sftp there', 'sftp', { ...remote, path: '/srv/app/vault' });
  await add('elsewhere', 'sftp', { ...remote, host: 'db2.example.com', path: '/srv/app/other' });
  const self = await t.addService(local.id, { configPaths: [], dataPaths: ['/srv/self'] });
  const foldersOf = async (service: ServiceRecord) => {
    const { children } = await plan({ services: [service.id] });
    return (JSON.parse(children[0]!.plan) as ArtifactPlan).destinationFolders;
  };
  expect(await foldersOf(self)).toEqual([
    { name: 'inner', path: '/srv/self/daily' },
    { name: 'main', path: '/srv/backups' },
  ]);
  expect(await foldersOf(web)).toEqual([{ name: 'sftp there', path: '/srv/app/vault' }]);
  const backup = await completedBackup(self);
  const restored = planOf(await restore(backup, { mayUseLocal: true }));
  expect(restored.destinationFolders).toEqual(await foldersOf(self));

  const code = { code: 'CONFLICT', message: expect.stringMatching(/destination (inner|main|sftp there)/) };
  const into = (change: Partial<RestoreRequest>) => restore(backup, { mayUseLocal: true, ...change });
  await expect(into({ restorePath: '/srv/backups' })).rejects.toMatchObject(code);
  await expect(into({ restorePath: '/srv/backups/x' })).rejects.toMatchObject(code);
  await expect(into({ paths: ['/srv/self/daily/a'] })).rejects.toMatchObject(code);
  // What was configured before that was refused.
  await t.db.services.update(self.id, { dataPaths: ['/srv/self/daily/deep'] });
  await expect(plan({ services: [self.id] })).rejects.toMatchObject(code);
  await t.db.destinations.update(far.id, { config: { ...remote, path: '/etc' } });
  await expect(plan({ services: [web.id] })).rejects.toMatchObject(code);
  for (const { id } of [inner, far]) await t.db.destinations.delete(id);
});

test('whether backups lie at the destination is said', async () => {
  const own = await t.addService(t.server.id);
  const place = await t.db.destinations.create({
    ...{ name: 'new', type: 's3', config: { bucket: 'new' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
  const says = async () => {
    const { children } = await plan({ services: [own.id], destinationId: place.id });
    return (JSON.parse(children[0]!.plan) as ArtifactPlan).holdsBackups;
  };
  expect(await says()).toBeUndefined();
  const backup = await completedBackup(own);
  await t.db.copies.create(backup.id, [{ destinationId: place.id, failure: null }]);
  expect(await says()).toBeUndefined();
  const ref = { backupId: backup.id, destinationId: place.id };
  await t.db.copies.begin(ref, backup.id);
  await t.db.copies.complete(ref, backup.id, { objects: 1, bytes: 1, at: new Date() });
  expect(await says()).toBe(true);
});
