import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { ResultOf } from '@tarfleet/contracts';
import { planDelete } from '../../planner/on-backup.ts';
import { createRecorder } from '../../recorder/record.ts';
import { type DownloadWorld, openDownloadWorld } from '../../testing/download-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';
import { attemptOf, STARTED, silent, step } from '../../testing/run-fixture.ts';

let world: DownloadWorld;
beforeAll(async () => {
  world = await openDownloadWorld('local');
});
afterAll(() => world.close());

const ask = (method: 'GET' | 'POST' | 'DELETE', url: string, body?: object, headers = {}) =>
  world.t.ask(method, url, { token: world.token, headers, ...(body ? { body } : {}) });
const DAY = 86_400_000;

/** Runs a backup as a worker would that found nothing. */
async function finish(id: string): Promise<void> {
  const failure = { code: 'PATH_NOT_FOUND', message: 'gone', retryable: false } as const;
  await world.end({ id, kind: 'backup' }, { failure });
}

test('a backup with the document’s defaults: encryption is asked for, and thirty days', async () => {
  const refused = await ask('POST', '/api/backup/create', { type: 'full' });
  expect([refused.statusCode, refused.json().code]).toEqual([422, 'ENCRYPTION_KEY_NOT_FOUND']);

  const body = { type: 'full', encrypt: false, compress: false, components: ['database'] };
  const answer = await ask('POST', '/api/backup/create', body);
  expect(answer.statusCode).toBe(202);
  const { backup, message } = answer.json();
  expect(message).toBe('Backup started');
  expect(answer.headers.location).toBe(`/api/jobs/${backup.id}`);
  expect(backup).toMatchObject({
    ...{ type: 'full', size: 0, encrypted: false, checksum: null, status: 'running', components: 1 },
    name: expect.stringMatching(/^backup-\d{4}-\d\d-\d\d-[0-9a-f]{6}$/),
    warnings: [expect.stringContaining('components were not looked at')],
  });
  const stored = (await world.t.db.backups.get(backup.id))!;
  expect(stored).toMatchObject({
    dialect: 'pos',
    retentionDays: 30,
    compressed: false,
    compressionLevel: null,
  });
  const plan = JSON.parse((await world.t.db.jobs.children(backup.id))[0]!.plan);
  expect(plan.compression.enabled).toBe(false);
  await finish(backup.id);
});

test('a partial backup needs components, and config is what other documents call configurations', async () => {
  const needs = await ask('POST', '/api/backup/create', { type: 'partial', encrypt: false });
  expect([needs.statusCode, needs.json().details[0].path]).toEqual([400, 'body/components']);
  const unknown = await ask('POST', '/api/backup/create', {
    ...{ type: 'partial', components: ['config'], encrypt: false },
  });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'COMPONENT_NOT_FOUND']);
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
  const answer = await ask('POST', '/api/backup/create', {
    ...{ type: 'partial', components: ['config'], encrypt: false, name: 'Settings', retentionDays: 365 },
  });
  const { backup } = answer.json();
  expect(backup).toMatchObject({ name: 'Settings', type: 'partial', components: 1 });
  const { backup: shown } = (await ask('GET', `/api/backup/${backup.id}`)).json();
  expect(shown).toMatchObject({ components: ['configurations'], retentionDays: 365, downloadUrl: null });
  await finish(backup.id);
  for (const retentionDays of [0, 366]) {
    const wrong = await ask('POST', '/api/backup/create', { type: 'full', retentionDays });
    expect([wrong.statusCode, wrong.json().details[0].path]).toEqual([400, 'body/retentionDays']);
  }
});

test('what was waited for is the document’s whole answer', async () => {
  const waiting = ask('POST', '/api/backup/create', { type: 'full', encrypt: false }, { prefer: 'wait=30' });
  const job = await world.running('backup');
  await finish(job.id);
  const answer = await waiting;
  expect([answer.statusCode, answer.json().code]).toEqual([422, 'PATH_NOT_FOUND']);
  expect(answer.json()).toMatchObject({ success: false, error: 'Unprocessable Entity' });
});

test('the list: pages, filters and a summary of all', async () => {
  const { id } = await world.stored([1000, 24]);
  const list = async (query: string) => (await ask('GET', `/api/backup/list?${query}`)).json();
  const first = await list('page=1&limit=2');
  const { total } = first.summary;
  expect(first.pagination).toEqual({
    ...{ page: 1, limit: 2, total, totalPages: Math.ceil(total / 2), hasNext: true, hasPrev: false },
  });
  expect(first.backups).toHaveLength(2);
  expect(first.backups[0]).toMatchObject({ id, type: 'partial', status: 'completed', verified: false });
  const size = first.backups[0].size;
  expect(first.summary).toMatchObject({ completed: 1, failed: total - 1, running: 0, totalSize: size });
  expect(first.summary.newest).toBe(first.backups[0].createdAt);
  expect(first.summary.oldest < first.summary.newest).toBe(true);
  const completed = await list('status=completed&type=partial');
  expect(completed.backups.map((one: { id: string }) => one.id)).toEqual([id]);
  expect([completed.pagination.total, completed.summary.total]).toEqual([1, total]);
  expect((await list('status=completed&type=full')).backups).toEqual([]);
  const last = await list(`page=${Math.ceil(total / 2)}&limit=2`);
  expect([last.pagination.hasNext, last.pagination.hasPrev]).toEqual([false, true]);
  expect((await list('project_id=2147483647')).summary).toMatchObject({ total: 0, oldest: null });
});

test('retentionDays say when it goes by itself, and do not keep an administrator from deleting it', async () => {
  const { id } = await world.stored([10]);
  const { completedAt, retentionUntil } = (await world.t.db.backups.get(id))!;
  expect(retentionUntil!.getTime() - completedAt!.getTime()).toBe(30 * DAY);
  const foreign = await world.backedUp();
  const later = new Date(Date.now() + DAY);
  for (const one of [id, foreign]) await world.t.db.backups.change(one, { retentionUntil: later });
  const held = await ask('DELETE', `/api/backup/${foreign}`);
  expect([held.statusCode, held.json().code]).toEqual([409, 'RETENTION_POLICY_VIOLATION']);
  const answer = await ask('DELETE', `/api/backup/${id}`);
  expect([answer.statusCode, answer.json().message]).toEqual([202, 'Backup deletion started']);
  expect((await world.t.db.backups.get(id))?.status).toBe('deleting');
});

test('one that is being downloaded is gone at once, and its objects only afterwards', async () => {
  const { id } = await world.stored([10]);
  const download = await world.t.downloads.begin(id);
  const answer = await ask('DELETE', `/api/backup/${id}`);
  expect([answer.statusCode, answer.json().backup.jobId]).toEqual([200, null]);
  expect(answer.json().message).toContain('It is being downloaded');
  expect((await ask('GET', `/api/backup/${id}`)).statusCode).toBe(404);
  await expect(world.t.downloads.begin(id)).rejects.toMatchObject({ code: 'BACKUP_NOT_FOUND' });
  const free = async () => (await world.t.db.backups.hiddenAndFree(10)).map((one) => one.id);
  expect(await free()).toEqual([]);
  const backup = (await world.t.db.backups.get(id))!;
  const early = await planDelete(
    { db: world.t.db, keys: world.t.vault },
    { backup, leave: { by: 'earlier-deletion' }, userId: null, requestId: 'r' },
  );
  await expect(world.t.dispatcher.submit(early)).rejects.toMatchObject({ code: 'CONFLICT' });
  await download.end();
  expect(await free()).toEqual([id]);
});

test('a restore: nothing that exists is replaced unless overwrite says so', async () => {
  const { id } = await world.stored([10]);
  const recorder = createRecorder({
    db: world.t.db,
    logger: silent,
    sweepGraceMs: 0,
    onEnded: () => undefined,
  });
  for (const overwrite of [undefined, true]) {
    const body = { backupId: id, components: ['files'], ...(overwrite ? { overwrite } : {}) };
    const answer = await ask('POST', '/api/restore/create', body);
    expect([answer.statusCode, answer.json().message]).toEqual([202, 'Restore process started']);
    const { restore } = answer.json();
    expect(restore).toMatchObject({
      ...{ backupId: id, status: 'restoring', validated: false, components: ['files'], issues: [] },
      backupName: (await ask('GET', `/api/backup/${id}`)).json().backup.name,
      warnings: overwrite ? [] : [expect.stringContaining('left as they are')],
    });
    const plan = JSON.parse((await world.t.db.jobs.get(restore.id))!.plan);
    expect(plan).toMatchObject({ overwrite: overwrite ?? false, verifyIntegrity: true, rollback: true });
    const job = { id: restore.id, kind: 'restore' as const };
    await recorder.record(
      attemptOf(job)(
        1,
        STARTED,
        step(1, 'completed', 'verify_integrity'),
        overwrite
          ? { type: 'ended', state: 'completed', result: restoreResult() }
          : {
              ...{
                type: 'ended',
                state: 'failed',
                result: restoreResult({ outcome: 'rolled_back', restored: [] }),
              },
              failure: { code: 'RESTORE_FAILED', message: 'no', retryable: false },
            },
      ),
    );
  }
  const unknown = await ask('POST', '/api/restore/create', { backupId: id, components: ['nothing'] });
  expect([unknown.statusCode, unknown.json().code]).toEqual([404, 'COMPONENT_NOT_FOUND']);
});

test('validateOnly is a verification, and stands among the restores', async () => {
  const { id } = await world.stored([10]);
  const validate = () =>
    ask('POST', '/api/restore/create', { backupId: id, validateOnly: true }, { prefer: 'wait=30' });
  for (const valid of [true, false]) {
    const waiting = validate();
    const job = await world.running('verify');
    expect(JSON.parse(job.plan)).toMatchObject({ kind: 'verify', level: 'deep' });
    await world.end(job, { result: verified(valid) });
    const answer = await waiting;
    expect(answer.statusCode).toBe(200);
    expect(answer.json().restore).toMatchObject({
      ...{ id: job.id, status: valid ? 'validated' : 'failed', validated: valid, components: ['files'] },
      issues: valid ? [] : ['An archive is damaged.'],
    });
  }
  const list = async (query: string) => (await ask('GET', `/api/restore/list?${query}`)).json();
  const all = await list('page=1&limit=10');
  expect(all.restores.map((one: { status: string }) => one.status)).toEqual([
    ...['failed', 'validated', 'completed', 'rolled_back'],
  ]);
  expect(all.restores.map((one: { validateOnly: boolean }) => one.validateOnly)).toEqual([
    true,
    true,
    false,
    false,
  ]);
  expect(all.restores[0].error).toBe('An archive is damaged.');
  expect(all.pagination).toMatchObject({ total: 4, totalPages: 1, hasNext: false });
  expect(all.summary).toEqual({ total: 4, completed: 1, failed: 1, running: 0, rolledBack: 1, validated: 3 });
  expect((await list('status=validated')).restores).toHaveLength(1);
  expect((await list('status=completed&limit=1')).pagination).toMatchObject({ total: 1, limit: 1 });
  expect((await ask('GET', '/api/backups/restore-jobs')).json().count).toBe(2);
});

test('a session’s token as Bearer, an API token in its header, the cookie: each will do; none will not', async () => {
  const { user, token } = await world.t.as('admin');
  const url = '/api/backup/list?page=1&limit=10';
  const made = await world.t.ask('POST', '/api/auth/tokens', { token, body: { name: 'till' } });
  const login = await world.t.ask('POST', '/api/auth/login', {
    body: { email: user.email, password: 'correct horse battery' },
  });
  const cookie = String(login.headers['set-cookie']).split(';')[0] ?? '';
  for (const headers of [
    { authorization: `Bearer ${token}` },
    { 'x-api-token': made.json().data.token },
    { authorization: `Bearer ${made.json().data.token}` },
    { cookie },
  ]) {
    expect((await world.t.ask('GET', url, { headers })).statusCode).toBe(200);
  }
  expect((await world.t.ask('GET', url)).json()).toMatchObject({ success: false, error: 'Unauthorized' });
  const { token: operator } = await world.t.as('operator', world.projectId);
  for (const path of [url, '/api/restore/list', `/api/backup/${world.serverId}`]) {
    expect((await world.t.ask('GET', path, { token: operator })).statusCode).toBe(403);
  }
  expect((await ask('GET', `/api/backup/${world.serverId}`)).json().code).toBe('BACKUP_NOT_FOUND');
});

function verified(valid: boolean): ResultOf<'verify'> {
  const [passed, skipped] = ['passed' as const, 'skipped' as const];
  const checks = {
    checksum: passed,
    contents: passed,
    encryption: skipped,
    compression: passed,
    metadata: passed,
  };
  return {
    ...{
      kind: 'verify',
      level: 'deep',
      valid,
      narrowed: false,
      checks,
      services: [],
      objects: [],
      lacking: [],
    },
    ...{ issues: valid ? [] : ['An archive is damaged.'], damagedAncestors: [] },
    verifiedAt: new Date().toISOString(),
  };
}
