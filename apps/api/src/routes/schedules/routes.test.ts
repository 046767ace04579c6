import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createLooks } from '../../scheduler/scheduler.ts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { silent } from '../../testing/run-fixture.ts';

const CONFIGURE = '/api/backups/schedule/configure';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld({
    env: { SMTP_URL: 'smtp://mail.example.com', SMTP_FROM: 'tarfleet@example.com' },
  });
  const { t, serverId } = world;
  for (const component of ['database', 'configurations', 'user_data']) {
    await t.db.services.create({
      ...{ serverId, name: component, type: 'files', component, configPaths: [`/srv/${component}`] },
      ...{ dataPaths: [], exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
    });
  }
});
afterAll(() => world.close());

const configure = (...schedules: object[]) =>
  world.t.ask('POST', CONFIGURE, { token: world.token, body: { schedules } });
const list = async () =>
  (await world.t.ask('GET', '/api/backups/schedule', { token: world.token })).json().data.schedules;
const named = async (name: string) =>
  (await list()).find((schedule: { name: string }) => schedule.name === name);
const nightly = (change: object = {}) => ({
  ...{ name: `n ${crypto.randomUUID()}`, type: 'full', cron: '0 2 * * *', encrypt: false },
  ...change,
});

test('the document’s example gets the documented answers', async () => {
  const body = {
    schedules: [
      {
        name: 'daily_incremental',
        type: 'incremental',
        enabled: true,
        cron: '0 2 * * *',
        components: ['database', 'files'],
        retention_days: 30,
        notification: { on_success: false, on_failure: true, email: ['admin@example.com'] },
      },
      {
        name: 'weekly_full',
        type: 'full',
        enabled: true,
        cron: '0 2 * * 0',
        components: ['database', 'files', 'configurations', 'user_data'],
        retention_days: 90,
        notification: {
          ...{ on_success: true, on_failure: true },
          email: ['admin@example.com', 'backup-team@example.com'],
        },
      },
    ],
  };
  const before = Date.now();
  const answer = await world.t.ask('POST', CONFIGURE, { token: world.token, body });
  expect(answer.statusCode).toBe(200);
  const { schedules, ...data } = answer.json().data;
  const next = new Date(data.next_backup.scheduled_time);
  expect(answer.json()).toMatchObject({ success: true, message: 'Backup schedules configured successfully' });
  expect(data).toMatchObject({
    schedules_configured: 2,
    next_backup: { schedule_name: 'daily_incremental' },
  });
  expect(next.toISOString().slice(11)).toBe('02:00:00.000Z');
  expect(next.getTime()).toBeGreaterThan(before);
  expect(schedules).toMatchObject([{ name: 'daily_incremental' }, { name: 'weekly_full' }]);
  expect(await list()).toMatchObject([
    {
      ...{ id: schedules[0].id, name: 'daily_incremental', type: 'incremental', enabled: true },
      ...{ cron: '0 2 * * *', next_run: next.toISOString(), last_run: null, last_status: null },
      ...{ total_runs: 0, successful_runs: 0, failed_runs: 0, alerts: [], time_zone: 'UTC', catch_up: true },
      ...{ components: ['database', 'files'], services: null, retention_days: 30 },
      notification: { ...body.schedules[0]?.notification, webhook: null },
    },
    { name: 'weekly_full', components: body.schedules[1]?.components, retention_days: 90 },
  ]);
});

test('a schedule is replaced by its name, keeps its id and history, and others stay', async () => {
  const schedule = nightly({ retention_days: 5, notification: { email: ['a@example.com'] } });
  const other = nightly();
  const [first] = (await configure(schedule, other)).json().data.schedules;
  const changed = { name: schedule.name, type: 'incremental', cron: '0 2 * * *' };
  const [second] = (await configure(changed)).json().data.schedules;
  expect(second).toEqual(first);
  expect(await named(schedule.name)).toMatchObject({
    ...{ id: first.id, type: 'incremental', retention_days: 90, encrypt: true, notification: null },
  });
  expect(await named(other.name)).toMatchObject({ type: 'full', encrypt: false });
});

test('a schedule with a policy says what is kept of its backups, which then have no days of their own', async () => {
  const retention = { keep_last: 3, keep_weekly: 4, timezone: 'Europe/Berlin' };
  const both = nightly({ retention, retention_days: 5 });
  const schedule = nightly({ retention });
  await configure(schedule, both);
  expect(await named(schedule.name)).toMatchObject({ retention, retention_days: null });
  expect(await named(both.name)).toMatchObject({ retention, retention_days: 5 });
  await configure({ ...schedule, retention: undefined });
  expect(await named(schedule.name)).toMatchObject({ retention: null, retention_days: 90 });
  const bad = await configure(nightly({ retention: { ...retention, timezone: 'Mars/Olympus' } }));
  expect(bad.json().details[0].path).toBe('body/schedules/0/retention/timezone');
  expect((await configure(nightly({ retention: {} }))).json().code).toBe('VALIDATION_FAILED');
});

test('all or nothing: what is wrong with one leaves every one as it was', async () => {
  const good = nightly();
  const answer = await configure(good, nightly({ components: ['gone'] }));
  expect([answer.statusCode, answer.json().code]).toEqual([404, 'COMPONENT_NOT_FOUND']);
  expect(answer.json().message).toMatch(/^Schedule n .*: No service has the component gone\./);
  expect(await named(good.name)).toBeUndefined();
});

test.each([
  ['NOT_FOUND', { services: ['gone'] }],
  ['NOT_FOUND', { server_id: crypto.randomUUID() }],
  ['NOT_FOUND', { destination_id: crypto.randomUUID() }],
  ['INVALID_BACKUP_TYPE', { type: 'weekly' }],
  ['NOT_SUPPORTED', { type: 'transaction' }],
  ['VALIDATION_FAILED', { cron: '0 2 * *' }],
  ['VALIDATION_FAILED', { cron: '0 0 31 2 *' }],
  ['VALIDATION_FAILED', { time_zone: 'Europe/Bonn' }],
  ['VALIDATION_FAILED', { retention_days: 0 }],
  ['VALIDATION_FAILED', { crno: '' }],
  ['VALIDATION_FAILED', { notification: { webhook: 'ftp://x' } }],
])('%s: %j', async (code, change) => {
  expect((await configure(nightly(change))).json().code).toBe(code);
});

test('every fault of every schedule is told at once, by its path', async () => {
  const twice = nightly({ cron: 'x' });
  const answer = await configure(twice, nightly({ time_zone: 'x' }), twice);
  expect(answer.json().details.map(({ path }: { path: string }) => path)).toEqual([
    ...[
      'body/schedules/0/cron',
      'body/schedules/1/time_zone',
      'body/schedules/2/name',
      'body/schedules/2/cron',
    ],
  ]);
});

test('a project that is not there is none, and names are a project’s own', async () => {
  const { t, token } = world;
  const schedule = nightly();
  const ask = (project_id: number) =>
    t.ask('POST', CONFIGURE, { token, body: { project_id, schedules: [schedule] } });
  expect((await ask(99_999)).statusCode).toBe(404);
  const { id } = await t.db.projects.create({ name: 'other' });
  await configure(schedule);
  expect((await ask(id)).statusCode).toBe(200);
  const shown = await t.ask('GET', `/api/backups/schedule?project_id=${id}`, { token });
  expect(shown.json().data.schedules).toMatchObject([{ name: schedule.name, project_id: id }]);
  expect(await t.db.projects.delete(id)).toBe(true);
});

test('a pause takes what was to come, and the end of one brings only what is to come', async () => {
  const schedule = nightly({ cron: '* * * * *' });
  const [{ id }] = (await configure(schedule)).json().data.schedules;
  await configure({ ...schedule, enabled: false });
  expect(await named(schedule.name)).toMatchObject({ id, enabled: false, next_run: null });
  const before = await world.t.db.schedules.clock();
  await configure(schedule);
  const { next_run } = await named(schedule.name);
  expect(new Date(next_run).getTime()).toBeGreaterThan(before.getTime());
});

test('what is due at the moment stays due when the times are changed', async () => {
  const schedule = nightly();
  const [{ id }] = (await configure(schedule)).json().data.schedules;
  const due = new Date(Date.now() - 60_000);
  await world.t.db.schedules.advance(id, due);
  await configure({ ...schedule, cron: '0 3 * * *' });
  expect((await world.t.db.schedules.get(id))?.nextAt).toEqual(due);
});

test('runs are shown, one by one and counted, and so are the backups that they made', async () => {
  const { t, token, end } = world;
  const schedule = nightly({ services: ['app'] });
  const [{ id }] = (await configure(schedule)).json().data.schedules;
  const first = (await t.db.schedules.get(id))?.nextAt as Date;
  const at = (days: number): Date => new Date(first.getTime() + days * 86_400_000);
  const tickAt = (now: Date) =>
    createLooks({
      ...{ db: t.db, keys: t.vault, dispatcher: t.dispatcher, logger: silent, clock: async () => now },
    }).tickAll();
  // The other schedules of this file are not this test's matter.
  for (const other of await t.db.schedules.enabled())
    if (other.id !== id) await t.db.schedules.delete(other.id);
  await tickAt(at(0));
  const { last_backup_id: backupId } = await named(schedule.name);
  await tickAt(at(1));
  expect(await named(schedule.name)).toMatchObject({
    ...{ last_status: 'skipped', last_error: { code: 'BACKUP_IN_PROGRESS' }, running: true },
    ...{ total_runs: 2, successful_runs: 0, failed_runs: 1, skipped_runs: 1, last_run: at(1).toISOString() },
  });
  await end(
    { id: backupId, kind: 'backup' },
    { failure: { code: 'STORAGE_FULL', message: 'Full.', retryable: false } },
  );
  const shown = await t.ask('GET', `/api/backups/schedule/${id}`, { token });
  expect(shown.json().data).toMatchObject({
    ...{ total_runs: 2, failed_runs: 2, running: false, next_run: at(2).toISOString() },
    runs: [
      { due_at: at(1).toISOString(), status: 'skipped', backup_id: null },
      {
        due_at: at(0).toISOString(),
        status: 'failed',
        backup_id: backupId,
        error: { code: 'STORAGE_FULL', message: 'Full.' },
      },
    ],
  });
  const backup = await t.ask('GET', `/api/backups/${backupId}`, { token });
  expect(backup.json()).toMatchObject({
    data: { metadata: { created_by: 'system_scheduler', schedule_id: id } },
  });
});

test('a schedule is deleted once, and its backups stay', async () => {
  const { t, token } = world;
  const [{ id }] = (await configure(nightly())).json().data.schedules;
  const remove = () => t.ask('DELETE', `/api/backups/schedule/${id}`, { token });
  expect((await remove()).statusCode).toBe(200);
  expect((await remove()).statusCode).toBe(404);
  expect((await t.ask('GET', `/api/backups/schedule/${id}`, { token })).statusCode).toBe(404);
});

test('schedules are for administrators, and what they do is in the audit log', async () => {
  const { t, token, projectId } = world;
  const { token: operator } = await t.as('operator', projectId);
  const body = { project_id: projectId, schedules: [nightly({ name: 'audited' })] };
  expect((await t.ask('POST', CONFIGURE, { token: operator, body })).statusCode).toBe(403);
  expect((await t.ask('GET', '/api/backups/schedule', { token: operator })).statusCode).toBe(403);
  const key = { 'idempotency-key': crypto.randomUUID() };
  const first = await t.ask('POST', CONFIGURE, { token, body, headers: key });
  const again = await t.ask('POST', CONFIGURE, { token, body, headers: key });
  expect([again.headers['idempotency-replayed'], again.body]).toEqual(['true', first.body]);
  const rows = await t.db.auditLog.list({ seenBy: null, action: 'schedule.configure', projectId, limit: 10 });
  expect(rows.map(({ outcome, details }) => [outcome, details.names])).toContainEqual([
    'succeeded',
    ['audited'],
  ]);
});
