import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BackupChange } from '@tarfleet/db';
import { v7 as uuidv7 } from 'uuid';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';

let world: BackupWorld;
beforeAll(async () => {
  world = await openBackupWorld();
});
afterAll(() => world.close());

const GB = 1024 ** 3;
const statistics = async (query: string) => {
  const answer = await world.t.ask('GET', `/api/backups/statistics?${query}`, { token: world.token });
  expect([answer.statusCode, answer.body]).toEqual([200, expect.any(String)]);
  return answer.json().data;
};

async function add(
  made: string,
  change: BackupChange & { seconds?: number; type?: string; destinationId?: string; projectId?: number },
): Promise<string> {
  const { seconds = 60, type = 'full', destinationId, projectId, ...rest } = change;
  const id = uuidv7();
  const createdAt = new Date(made);
  await world.t.db.backups.create({
    ...{
      id,
      projectId: projectId ?? world.projectId,
      createdBy: null,
      scheduleId: null,
      name: null,
      description: null,
      type,
    },
    ...{ encrypted: false, encryptionKeys: [], dialect: 'botserver', keyPrefix: id, compressed: true },
    ...{ compressionLevel: 6, deduplicated: false, verifyRequested: false, retentionDays: null },
    ...{ warnings: [], createdAt, artifacts: [], destinationId: destinationId ?? world.destinationId },
  });
  const ended = rest.outcome ? { completedAt: new Date(createdAt.getTime() + seconds * 1000) } : {};
  await world.t.db.backups.change(id, { status: rest.outcome ?? 'in_progress', ...ended, ...rest });
  return id;
}

test('an empty month has no rates and no averages', async () => {
  const data = await statistics('date=2001-02-03');
  expect(data).toMatchObject({
    period: 'month',
    start_date: '2001-02-01T00:00:00.000Z',
    end_date: '2001-02-28T23:59:59.999Z',
    summary: { total_backups: 0, success_rate: null, average_backup_size_bytes: null },
    by_type: {},
    retention_compliance: { backups_expired: 0, backups_deleted: 0, compliance_rate: 100 },
  });
});

test('backups are counted by how they ended, in the period they were made in', async () => {
  const { t } = world;
  const admin = { token: world.token };
  const archive = await t.ask('POST', '/api/destinations', {
    ...admin,
    body: { name: 'archive', type: 'local', config: { path: '/srv/archive' }, capacity_bytes: 16 * GB },
  });
  expect(archive.json().data.capacity_bytes).toBe(16 * GB);
  const other = { destinationId: archive.json().data.id as string };
  const over = new Date('2024-01-20T00:00:00Z');

  await add('2024-01-01T00:00:00Z', { outcome: 'completed', sizeBytes: 4 * GB, seconds: 100, ...other });
  await add('2024-01-31T23:59:59.999Z', { outcome: 'completed', sizeBytes: 2 * GB, seconds: 200, ...other });
  // Deleted ones still count as made; hidden ones are still stored.
  await add('2024-01-05T00:00:00Z', {
    ...{ outcome: 'completed', status: 'deleted', sizeBytes: 3 * GB, seconds: 300, retentionUntil: over },
  });
  await add('2024-01-06T00:00:00Z', {
    ...{ outcome: 'completed', status: 'hidden', type: 'incremental', sizeBytes: GB, seconds: 10 },
    retentionUntil: over,
  });
  await add('2024-01-07T00:00:00Z', {
    ...{ outcome: 'partial', type: 'incremental', sizeBytes: 5 * GB, retentionUntil: over },
  });
  await add('2024-01-08T00:00:00Z', { outcome: 'failed', type: 'incremental', errorCode: 'STORAGE_FAILED' });
  await add('2024-01-09T00:00:00Z', { outcome: 'cancelled' });
  await add('2024-01-10T00:00:00Z', {});
  await add('2023-12-31T23:59:59.999Z', { outcome: 'completed', sizeBytes: 7 * GB });
  await add('2024-02-01T00:00:00Z', { outcome: 'failed' });

  const data = await statistics('period=month&date=2024-01-15');
  expect(data).toEqual({
    period: 'month',
    start_date: '2024-01-01T00:00:00.000Z',
    end_date: '2024-01-31T23:59:59.999Z',
    summary: {
      ...{ total_backups: 6, successful_backups: 4, failed_backups: 2, partial_backups: 1 },
      ...{ cancelled_backups: 1, in_progress_backups: 1, success_rate: 66.67 },
      ...{ total_size_bytes: 15 * GB, total_size_formatted: '15.0 GB' },
      ...{ average_backup_size_bytes: 2.5 * GB, average_duration_seconds: 153 },
      ...{ total_storage_used_bytes: 19 * GB, total_storage_used_formatted: '19.0 GB' },
    },
    by_type: {
      full: {
        ...{ count: 3, success_rate: 100, average_size_bytes: 3 * GB, average_duration_seconds: 200 },
      },
      incremental: {
        ...{ count: 3, success_rate: 33.33, average_size_bytes: GB, average_duration_seconds: 10 },
      },
    },
    retention_compliance: { backups_expired: 3, backups_deleted: 2, compliance_rate: 66.67 },
    storage_locations: {
      archive: { backups_count: 2, size_bytes: 6 * GB, utilization_percent: 37.5 },
      main: { backups_count: 3, size_bytes: 13 * GB, utilization_percent: null },
    },
  });
  expect((await statistics('period=year&date=2024-06-01')).summary).toMatchObject({
    ...{ total_backups: 7, failed_backups: 3 },
  });
  expect((await statistics('period=week&date=2023-12-31')).summary.total_backups).toBe(1);
  expect((await statistics('period=day&date=2024-01-08T22:00:00-05:00')).summary).toMatchObject({
    ...{ total_backups: 0, cancelled_backups: 1 },
  });
});

test('one project’s figures are its own', async () => {
  const { id: projectId } = await world.t.db.projects.create({ name: 'another' });
  await add('2024-03-01T00:00:00Z', { outcome: 'completed', sizeBytes: GB, projectId });
  await add('2024-03-01T00:00:00Z', { outcome: 'failed' });
  const data = await statistics(`project_id=${projectId}&date=2024-03-01`);
  expect(data.summary).toMatchObject({ total_backups: 1, total_storage_used_bytes: GB });
  expect(data.storage_locations.archive).toMatchObject({ backups_count: 0, size_bytes: 0 });
});

test('the present period counts a backup that has just ended', async () => {
  const before = (await statistics('period=day')).summary.successful_backups;
  await world.backedUp();
  expect((await statistics('period=day')).summary.successful_backups).toBe(before + 1);
});

test('statistics are for administrators, and say what is wrong with a query', async () => {
  const operator = await world.t.as('operator', world.projectId);
  const refused = await world.t.ask('GET', '/api/backups/statistics', { token: operator.token });
  expect(refused.statusCode).toBe(403);
  for (const query of ['period=decade', 'date=yesterday', 'since=2024-01-01']) {
    const answer = await world.t.ask('GET', `/api/backups/statistics?${query}`, { token: world.token });
    expect([query, answer.statusCode, answer.json().code]).toEqual([query, 400, 'VALIDATION_FAILED']);
  }
});
