// Document 3's routes: backups of a project, for its members.
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FullBackup } from '@tarfleet/db';
import { type BackupWorld, failure, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';
import { artifactResult, backupResult } from '../../testing/run-fixture.ts';

let world: BackupWorld;
let path: string;
beforeAll(async () => {
  world = await openBackupWorld();
  path = `/api/projects/${world.projectId}/backups`;
  const now = new Date().toISOString();
  await world.t.db.workers.record({
    ...{ v: 1, type: 'heartbeat', workerId: 'w1', host: 'h', pid: 1, pool: 'default', version: '1' },
    ...{ startedAt: now, at: now, stopping: false, jobs: [], keyring: { keys: ['main'], primary: 'main' } },
  });
});
afterAll(() => world.close());

const DOCUMENTED = { name: 'Weekly Backup', description: 'Automated weekly backup', type: 'manual' };
const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: object, token = world.token) =>
  world.t.ask(method, url, { token, ...(body ? { body } : {}) });
const stored = async (id: string): Promise<FullBackup> => (await world.t.db.backups.get(id))!;
const complete = async (id: string) => {
  const { keyPrefix } = await stored(id);
  const artifacts = (await world.t.db.jobs.children(id)).map((child) => artifactResult(child.id, keyPrefix));
  await world.end({ id, kind: 'backup' }, { result: backupResult(keyPrefix, { artifacts }) });
};

const create = async (body: object = DOCUMENTED): Promise<string> =>
  (await ask('POST', path, body)).json().id;

test('the documented request gets the documented object, and everything of the project is backed up', async () => {
  const answer = await ask('POST', path, DOCUMENTED);
  const body = answer.json();
  expect([answer.statusCode, answer.headers.location]).toEqual([202, `/api/jobs/${body.id}`]);
  const object = {
    ...{ id: expect.any(String), ...DOCUMENTED, status: 'creating', size: 0 },
    ...{ file_path: expect.stringContaining(body.id), checksum: null, created_at: expect.any(String) },
    ...{ completed_at: null, project_id: world.projectId },
  };
  expect(body).toEqual({ success: true, message: 'Backup creation started', data: object, ...object });
  expect(await stored(body.id)).toMatchObject({
    ...{ dialect: 'cloudbox', type: 'full', encrypted: true, verifyRequested: true, retentionDays: null },
  });

  const early = await ask('POST', `/api/backups/${body.id}/restore`, {});
  expect([early.statusCode, early.json().code]).toEqual([409, 'BACKUP_INCOMPLETE']);
  await complete(body.id);
  const shown = (await ask('GET', `/api/backups/${body.id}`)).json();
  expect(shown).toMatchObject({
    ...{ ...DOCUMENTED, status: 'completed', checksum: expect.stringMatching(/^sha256:[0-9a-f]{64}$/) },
    ...{ completed_at: expect.any(String), project_id: world.projectId },
    data: { type: 'full', retention_days: null, retention_until: null },
  });
  expect(shown.size).toBeGreaterThan(0);
});

test('a body that is not as documented names every fault', async () => {
  const answer = await ask('POST', path, { type: 'weekly', description: 1, more: true });
  expect([answer.statusCode, answer.json().code]).toEqual([400, 'VALIDATION_FAILED']);
  const faults: string[] = answer.json().details.map((fault: { path: string }) => fault.path);
  expect(faults.sort()).toEqual(['body/description', 'body/more', 'body/name', 'body/type']);
});

test('a program may say that it makes them; schedules need not', async () => {
  const id = await create({ name: 'by a program', type: 'automatic' });
  expect((await ask('GET', `/api/backups/${id}`)).json().type).toBe('automatic');
  await world.end({ id, kind: 'backup' }, failure('STORAGE_FULL'));
  expect((await ask('GET', `/api/backups/${id}`)).json()).toMatchObject({
    ...{ status: 'failed', data: { error: { code: 'STORAGE_FULL' } } },
  });
});

test('waited for, the answer is the object as it came to be', async () => {
  const waiting = world.t.ask('POST', path, {
    ...{ token: world.token, body: { name: 'waited' }, headers: { prefer: 'wait=30' } },
  });
  await complete((await world.running('backup')).id);
  const answer = await waiting;
  expect([answer.statusCode, answer.json().message]).toEqual([200, 'Backup completed successfully']);
  expect(answer.json()).toMatchObject({ status: 'completed', type: 'manual', description: null });
});

test('nothing holds it but what somebody set: a plain DELETE works, and others still refuse', async () => {
  const id = await create({ name: 'to go' });
  await complete(id);
  const answer = await ask('DELETE', `/api/backups/${id}`);
  expect([answer.statusCode, answer.json().success]).toEqual([202, true]);

  const long = { type: 'full', retention_days: 36_500 };
  const other: string = (await ask('POST', '/api/backups/create', long)).json().data.backup_id;
  await complete(other);
  const refused = await ask('DELETE', `/api/backups/${other}`);
  expect([refused.statusCode, refused.json().code]).toEqual([409, 'RETENTION_POLICY_VIOLATION']);

  await world.t.db.destinations.update(world.destinationId, { retentionDays: 36_500 });
  const held = await create({ name: 'held' });
  expect((await stored(held)).retentionDays).toBe(36_500);
  await world.t.db.destinations.update(world.destinationId, { retentionDays: null });
  await complete(held);
  expect((await ask('DELETE', `/api/backups/${held}`)).json().code).toBe('RETENTION_POLICY_VIOLATION');
});

test('a restore without restoreType is answered as documented', async () => {
  const id = await create({ name: 'to restore' });
  await complete(id);
  // Nobody hands any records back here.
  const records = 'none';
  for (const body of [{ records }, { records, target_project_id: world.projectId }]) {
    const waiting = world.t.ask('POST', `/api/backups/${id}/restore`, {
      ...{ token: world.token, body, headers: { prefer: 'wait=30' } },
    });
    await world.end(await world.running('restore'), { result: restoreResult() });
    expect((await waiting).json()).toMatchObject({
      ...{ message: 'Backup restore completed successfully', target_project_id: world.projectId },
    });
  }
  const { id: elsewhere } = await world.t.db.projects.create({ name: 'elsewhere' });
  const answer = await ask('POST', `/api/backups/${id}/restore`, { target_project_id: elsewhere });
  expect([answer.statusCode, answer.json().code]).toEqual([400, 'VALIDATION_FAILED']);
  expect(answer.json().message).toContain(`name the server of project ${elsewhere}`);
});

test('members read by their role; to others there is no such project', async () => {
  const id = await create({ name: 'whose' });
  await complete(id);
  const { token: viewer } = await world.t.as('viewer', world.projectId);
  const { token: operator } = await world.t.as('operator', world.projectId);
  const { token: stranger } = await world.t.as('operator');
  const codes = async (token: string) => [
    (await ask('GET', path, undefined, token)).statusCode,
    (await ask('GET', `/api/backups/${id}`, undefined, token)).statusCode,
    (await ask('POST', path, { name: 'x', type: 'later' }, token)).statusCode,
    (await ask('POST', path, { name: 'x' }, token)).statusCode,
    (await ask('DELETE', `/api/backups/${id}`, undefined, token)).statusCode,
  ];
  expect(await codes(viewer)).toEqual([200, 200, 400, 403, 403]);
  expect(await codes(stranger)).toEqual([404, 404, 400, 404, 404]);
  expect(await codes(operator)).toEqual([200, 200, 400, 202, 202]);
  const unknown = await ask('GET', '/api/projects/2147483647/backups');
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'NOT_FOUND']);
  expect((await ask('GET', '/api/projects/one/backups')).statusCode).toBe(400);
  await world.end(await world.running('backup'), failure('CANCELLED'));
});

test('the list pages from a backup on, whatever is made or deleted meanwhile', async () => {
  const { id: projectId } = await world.t.db.projects.create({ name: 'paged' });
  const list = `/api/projects/${projectId}/backups`;
  expect((await ask('GET', list)).json()).toMatchObject({ data: [], total: 0, page: 1 });
  const none = await ask('POST', list, { name: 'of nothing' });
  expect([none.statusCode, none.json().code]).toEqual([400, 'NOTHING_TO_BACK_UP']);

  const all: { id: string }[] = (await ask('GET', `${path}?per_page=100`)).json().data;
  expect(all.length).toBeGreaterThan(4);
  const first = (await ask('GET', `${path}?per_page=2`)).json();
  expect(first).toMatchObject({ data: all.slice(0, 2), total: all.length });
  const mark = all[1]!.id;
  await world.t.db.backups.change(mark, { status: 'deleted' });
  const newer = await create({ name: 'newer' });
  const next = (await ask('GET', `${path}?per_page=3&after=${mark}`)).json().data;
  expect(next).toEqual(all.slice(2, 5));
  expect((await ask('GET', `${path}?after=${all.at(-1)!.id}`)).json().data).toEqual([]);
  const strange = await ask('GET', `${list}?after=${newer}`);
  expect([strange.statusCode, strange.json().code]).toEqual([404, 'BACKUP_NOT_FOUND']);
});
