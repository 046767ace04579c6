import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FullBackup } from '@tarfleet/db';
import { type BackupWorld, failure, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';
import { artifactResult, backupResult } from '../../testing/run-fixture.ts';

let world: BackupWorld;
let now = new Date('2026-05-01T00:00:00Z');
beforeAll(async () => {
  const env = { RATE_LIMIT_RESTORES_PER_HOUR: '1000', EMERGENCY_KEEP_DAYS: '3' };
  world = await openBackupWorld({ env, clock: async () => now });
});
afterAll(() => world.close());

const ROOT = '/api/admin/backup';
const ask = (method: 'GET' | 'POST' | 'DELETE', path: string, body?: object, headers = {}) =>
  world.t.ask(method, ROOT + path, { token: world.token, headers, ...(body ? { body } : {}) });
const find = async (id: string): Promise<FullBackup> => (await world.t.db.backups.get(id)) as FullBackup;
/** Runs a backup as a worker would. */
async function complete(id: string): Promise<void> {
  const { keyPrefix } = await find(id);
  const artifacts = (await world.t.db.jobs.children(id)).map((child) => ({
    ...artifactResult(child.id, keyPrefix),
    database: {
      ...{ method: 'pg_dump' as const, serverVersion: '16.4', databases: ['tacacs'] },
      ...{ tables: 3, records: 1200 },
    },
  }));
  await world.end({ id, kind: 'backup' }, { result: backupResult(keyPrefix, { artifacts }) });
}
const destination = () => ({ destination_id: world.destinationId });

test('triggered: it begins in the background, and its execution tells what became of it', async () => {
  const answer = await ask('POST', '/trigger', { ...destination(), comment: 'Pre-upgrade backup' });
  expect(answer.statusCode).toBe(202);
  const { data } = answer.json();
  expect(answer.headers.location).toBe(`/api/jobs/${data.execution_id}`);
  expect(data).toMatchObject({
    ...{ status: 'running', triggered_by: 'manual', comment: 'Pre-upgrade backup', encrypted: false },
    ...{ destination_name: 'main', components: ['files'], manifest: null, completed_at: null },
  });
  const second = await ask('POST', '/trigger', destination());
  expect([second.statusCode, second.json().code]).toEqual([409, 'BACKUP_IN_PROGRESS']);
  await complete(data.execution_id);
  const { data: shown } = (await ask('GET', `/executions/${data.execution_id}`)).json();
  expect(shown).toMatchObject({
    ...{ id: data.id, status: 'completed', size_bytes: 10, file_count: 2, record_count: 1200, error: null },
    manifest: { path: `${data.backup_path}/manifest.json`, checksum: `sha256:${'b'.repeat(64)}` },
    services: [
      { name: 'app', component: 'files', table_count: 3, record_count: 1200, checksum: expect.any(String) },
    ],
    ...{ steps: [], log: [], progress: expect.any(Object) },
  });
  const missing = await ask('GET', `/executions/${world.serviceId}`);
  expect([missing.statusCode, missing.json().code]).toEqual([404, 'NOT_FOUND']);
});

test.each([
  [{ destination_id: '0190b2c4-0000-7000-8000-000000000000' }, 404, 'NOT_FOUND'],
  [{ destination_id: 'abc123' }, 400, 'VALIDATION_FAILED'],
  [{ components: ['mail'] }, 404, 'COMPONENT_NOT_FOUND'],
  [{ project_id: 999_999 }, 404, 'NOT_FOUND'],
  [{ encrypt: true }, 422, 'ENCRYPTION_KEY_NOT_FOUND'],
  [{ kommentar: 'x' }, 400, 'VALIDATION_FAILED'],
])('trigger refuses %j', async (body, status, code) => {
  const answer = await ask('POST', '/trigger', body);
  expect([answer.statusCode, answer.json().code]).toEqual([status, code]);
});

test('executions are listed by status and destination, backups those that can be restored', async () => {
  const failing = (await ask('POST', '/trigger', {})).json().data.id;
  await world.end({ id: failing, kind: 'backup' }, failure('SERVER_UNREACHABLE'));
  const list = async (path: string) => (await ask('GET', path)).json().data;
  const { executions, pagination } = await list('/executions?per_page=1');
  expect([executions.length, pagination.total > 1, pagination.page]).toEqual([1, true, 1]);
  expect(executions[0]).toMatchObject({
    id: failing,
    status: 'failed',
    error: { code: 'SERVER_UNREACHABLE' },
  });
  const failed = await list('/executions?status=failed');
  expect(failed.executions.map(({ id }: { id: string }) => id)).toEqual([failing]);
  expect((await list(`/executions?destination_id=${world.serviceId}`)).executions).toEqual([]);
  const { backups } = await list(`/list?destination_id=${world.destinationId}`);
  expect(backups.length).toBeGreaterThan(0);
  expect(backups.every(({ status }: { status: string }) => status === 'completed')).toBe(true);
  await world.t.db.backups.change(backups[0].id, { status: 'deleted' });
  expect((await list('/list')).backups).toHaveLength(backups.length - 1);
  expect((await list('/executions?status=deleted')).executions).toMatchObject([{ id: backups[0].id }]);
  await world.t.db.backups.change(backups[0].id, { status: 'completed' });
});

test('a restore is confirmed, of a backup that is there', async () => {
  const { keyPrefix } = await find(await world.backedUp());
  const body = { backup_path: keyPrefix, ...destination(), confirm: true };
  const refused = async (change: object) => {
    const answer = await ask('POST', '/restore', { ...body, ...change });
    return [answer.statusCode, answer.json().code, answer.json().details?.[0]?.path];
  };
  expect(await refused({ confirm: false })).toEqual([400, 'VALIDATION_FAILED', 'body/confirm']);
  expect(await refused({ confirm: undefined })).toEqual([400, 'VALIDATION_FAILED', 'body/confirm']);
  expect(await refused({ backup_path: 'prod-tacacs-01/daily/backup-...' })).toMatchObject([
    404,
    'BACKUP_NOT_FOUND',
  ]);
  expect(await refused({ backup_path: `x/${keyPrefix}` })).toMatchObject([404, 'BACKUP_NOT_FOUND']);
  expect(await refused({ destination_id: world.serviceId })).toMatchObject([404, 'NOT_FOUND']);
  expect(await refused({ components: ['mail'] })).toMatchObject([404, 'COMPONENT_NOT_FOUND']);
  expect(await world.t.db.jobs.undispatched(new Date(Date.now() + 60_000), 10)).toEqual([]);
});

test('before a restore an emergency backup is made, which is kept for a while', async () => {
  const { id, keyPrefix } = await find(await world.backedUp());
  const body = { backup_path: `${keyPrefix}/`, ...destination(), confirm: true, components: ['files'] };
  const answer = await ask('POST', '/restore', body);
  expect(answer.statusCode).toBe(202);
  const { data, message } = answer.json();
  expect(message).toContain('Emergency backup started');
  expect(answer.headers.location).toBe(`/api/jobs/${data.restore_id}`);
  expect(data).toMatchObject({
    ...{ backup_id: id, status: 'pending', current_step: 'Waiting for the emergency backup' },
    ...{ components: ['files'], emergency_backup: { status: 'running' }, warnings: [] },
  });
  const { execution_id: before, locked_until: until } = data.emergency_backup;
  expect(Math.round((Date.parse(until) - Date.now()) / 86_400_000)).toBe(3);
  expect((await ask('POST', '/restore', body)).json().code).toBe('BACKUP_IN_PROGRESS');
  await complete(before);
  const { data: shown } = (await ask('GET', `/executions/${before}`)).json();
  expect(shown).toMatchObject({ triggered_by: 'emergency', status: 'completed', locked_until: until });
  const locked = await world.t.ask('DELETE', `/api/backups/${before}?force=true&reason=x`, {
    token: world.token,
  });
  expect(locked.json().code).toBe('RETENTION_POLICY_VIOLATION');
  const status = await world.t.ask('GET', data.status_url, { token: world.token });
  expect([status.statusCode, JSON.stringify(status.json()).includes('Waiting for a worker')]).toEqual([
    200,
    true,
  ]);
  await world.end({ id: data.restore_id, kind: 'restore' }, { result: restoreResult() });
  const log = await world.t.db.auditLog.list({ seenBy: null, targetId: data.restore_id, limit: 5 });
  expect(log).toMatchObject([{ action: 'restore.start', outcome: 'accepted' }]);
});

test('whoever waits is told that the emergency backup failed and nothing was restored', async () => {
  const { keyPrefix } = await find(await world.backedUp());
  const body = { backup_path: keyPrefix, ...destination(), confirm: true };
  const waiting = ask('POST', '/restore', body, { prefer: 'wait=30' });
  await world.end(await world.running('backup'), failure('STORAGE_FULL'));
  const answer = await waiting;
  expect([answer.statusCode, answer.json().code]).toEqual([500, 'RESTORE_FAILED']);
  expect(answer.json().message).toContain('nothing was restored or changed: It came to STORAGE_FULL.');
});

test('where nothing was there to save, the restore goes on, and whoever waits is warned', async () => {
  const { keyPrefix } = await find(await world.backedUp());
  const body = { backup_path: keyPrefix, ...destination(), confirm: true };
  const waiting = ask('POST', '/restore', body, { prefer: 'wait=30' });
  const before = await world.running('backup');
  const [restore] = await world.t.db.jobs.followers(before.id);
  await world.end(before, failure('PATH_NOT_FOUND'));
  await world.end({ id: restore!.id, kind: 'restore' }, { result: restoreResult() });
  const answer = await waiting;
  expect([answer.statusCode, answer.json().data.emergency_backup.status]).toEqual([200, 'failed']);
  expect(answer.json().data.warnings).toEqual([expect.stringContaining('PATH_NOT_FOUND')]);
  // What holds nothing is neither locked nor kept.
  const { execution_id: failed, locked_until: until } = answer.json().data.emergency_backup;
  const { data: shown } = (await ask('GET', `/executions/${failed}`)).json();
  expect([until, shown.locked_until, shown.retention_until]).toEqual([null, null, null]);
  const removed = await world.t.ask('DELETE', `/api/backups/${failed}`, { token: world.token });
  expect([removed.statusCode, removed.json().success]).toEqual([202, true]);
});

test('without an emergency backup, where that is asked for', async () => {
  const { keyPrefix } = await find(await world.backedUp());
  const body = { backup_path: keyPrefix, ...destination(), confirm: true, emergency_backup: 'skip' };
  const { data } = (await ask('POST', '/restore', body)).json();
  expect([data.emergency_backup, data.current_step]).toEqual([null, 'Waiting for a worker']);
  await world.end({ id: data.restore_id, kind: 'restore' }, { result: restoreResult() });
});

const job = (name: string, type: string, value?: string) => ({
  ...{ name, schedule_type: type },
  ...(value === undefined ? {} : { schedule_value: value }),
});

test('scheduled jobs: cron, interval and manual, paused, resumed, triggered and deleted', async () => {
  const made = await ask('POST', '/schedule', {
    ...job('quarterly', 'interval', 'minutes:15'),
    ...destination(),
  });
  expect(made.statusCode).toBe(201);
  const { data } = made.json();
  expect(data).toMatchObject({
    ...{ schedule_type: 'interval', schedule_value: 'minutes:15', status: 'active', retention_days: null },
    ...{ next_run: '2026-05-01T00:15:00.000Z', last_run: null, total_runs: 0, encrypt: false },
  });
  const cron = await ask('POST', '/schedule', {
    ...job('nightly', 'cron', '0 2 * * *'),
    time_zone: 'Europe/Berlin',
  });
  expect(cron.json().data).toMatchObject({ schedule_type: 'cron', next_run: '2026-05-02T00:00:00.000Z' });
  const manual = await ask('POST', '/schedule', job('by hand', 'manual'));
  expect(manual.json().data).toMatchObject({ schedule_type: 'manual', schedule_value: null, next_run: null });

  const act = (action: string) => ask('POST', `/schedule/${data.job_id}/${action}`);
  expect((await act('pause')).json().data).toMatchObject({ status: 'paused', next_run: null });
  now = new Date('2026-05-01T03:01:00Z');
  expect((await act('resume')).json().data).toMatchObject({
    status: 'active',
    next_run: '2026-05-01T03:15:00.000Z',
  });
  expect((await act('resume')).statusCode).toBe(200);

  const triggered = await act('trigger');
  expect(triggered.statusCode).toBe(202);
  const { data: execution } = triggered.json();
  expect(execution).toMatchObject({ triggered_by: 'schedule', schedule_id: data.job_id, status: 'running' });
  now = new Date('2026-05-01T03:02:00Z');
  expect((await act('trigger')).json().code).toBe('BACKUP_IN_PROGRESS');
  await complete(execution.execution_id);
  const { jobs } = (await ask('GET', '/schedule')).json().data;
  expect(jobs.map(({ name }: { name: string }) => name)).toEqual(['by hand', 'nightly', 'quarterly']);
  expect(jobs[2]).toMatchObject({
    ...{ last_status: 'completed', total_runs: 1, successful_runs: 1, last_execution_id: execution.id },
    ...{ next_run: '2026-05-01T03:15:00.000Z', last_run: '2026-05-01T03:01:00.000Z' },
  });
  const own = await world.t.ask('GET', '/api/backups/schedule', { token: world.token });
  expect(own.json().data.schedules[2]).toMatchObject({ cron: null, interval: 'minutes:15' });
  expect((await ask('DELETE', `/schedule/${data.job_id}`)).statusCode).toBe(200);
  for (const [method, path] of [
    ['DELETE', ''],
    ['POST', '/pause'],
    ['POST', '/resume'],
    ['POST', '/trigger'],
  ] as const) {
    expect((await ask(method, `/schedule/${data.job_id}${path}`)).statusCode).toBe(404);
  }
});

test.each([
  [job('a', 'interval'), 'body/schedule_value'],
  [job('a', 'interval', 'minutes'), 'body/schedule_value'],
  [job('a', 'cron', 'hours:24'), 'body/schedule_value'],
  [job('a', 'manual', 'hours:24'), 'body/schedule_value'],
  [{ ...job('a', 'interval', 'hours:1'), time_zone: 'Europe/Berlin' }, 'body/time_zone'],
  [{ ...job('a', 'cron', '0 2 * * *'), time_zone: 'Mars' }, 'body/time_zone'],
  [job('a', 'weekly', '1'), 'body/schedule_type'],
])('a job is refused, and says which field: %j', async (body, path) => {
  const answer = await ask('POST', '/schedule', { ...body, destination_id: world.destinationId });
  expect([answer.statusCode, answer.json().details[0].path]).toEqual([400, path]);
});

test('a job’s name is taken once, and what it names must be there', async () => {
  const codeOf = async (body: object) => (await ask('POST', '/schedule', body)).json().code;
  const { job_id: first } = (await ask('POST', '/schedule', job('taken', 'manual'))).json().data;
  const taken = await ask('POST', '/schedule', job('taken', 'manual'));
  expect([taken.statusCode, taken.json().code]).toEqual([409, 'CONFLICT']);
  expect(taken.json().message).toMatch(new RegExp(`named taken already.*another name.*${first}`));
  expect(await codeOf({ ...job('b', 'manual'), destination_id: world.serviceId })).toBe('NOT_FOUND');
  expect(await codeOf({ ...job('b', 'manual'), components: ['mail'] })).toBe('COMPONENT_NOT_FOUND');
});

test('none of it is for others than administrators', async () => {
  const { token } = await world.t.as('operator');
  const id = world.serviceId;
  const routes = [
    ...(['GET /executions', `GET /executions/${id}`, 'GET /list', 'GET /schedule', 'POST /trigger'] as const),
    ...['POST /restore', 'POST /schedule', `DELETE /schedule/${id}`, `POST /schedule/${id}/pause`],
    ...[`POST /schedule/${id}/resume`, `POST /schedule/${id}/trigger`],
  ];
  for (const route of routes) {
    const [method, path] = route.split(' ') as ['GET', string];
    expect((await world.t.ask(method, ROOT + path)).statusCode).toBe(401);
    expect(
      (await world.t.ask(method, ROOT + path, { token, ...(method === 'GET' ? {} : { body: {} }) }))
        .statusCode,
    ).toBe(403);
  }
});
