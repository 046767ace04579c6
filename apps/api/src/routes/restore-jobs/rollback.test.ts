import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { RestoreResult } from '@tarfleet/contracts';
import { type BackupWorld, openBackupWorld } from '../../testing/backup-world.ts';
import { restoreResult } from '../../testing/restore-fixture.ts';

let world: BackupWorld;
let backup: string;
beforeAll(async () => {
  world = await openBackupWorld();
  backup = await world.backedUp();
});
afterAll(() => world.close());

const KEPT = '/var/lib/tarfleet/restores/x';
const rollBack = (id: string, headers: Record<string, string> = {}, token = world.token) =>
  world.t.ask('POST', `/api/backups/restore-jobs/${id}/rollback`, { token, headers });
const begin = async () => {
  const url = `/api/backups/${backup}/restore`;
  const answer = await world.t.ask('POST', url, { token: (await world.t.as('admin')).token });
  return { id: answer.json().data.restoreJobId as string, kind: 'restore' as const };
};
const restored = async (change: Partial<RestoreResult> = {}) => {
  const job = await begin();
  await world.end(job, { result: restoreResult({ rollbackPath: KEPT, ...change }) });
  return job.id;
};
const result = { kind: 'rollback', action: 'undo', restored: ['app'], notRunning: [] } as const;
const undone = { result: { ...result, restored: ['app'], notRunning: [] } };
const show = async (id: string) =>
  (await world.t.ask('GET', `/api/backups/restore-jobs/${id}`, { token: world.token })).json().data;

test('a restore is rolled back on request, once for a key', async () => {
  const id = await restored();
  expect(await show(id)).toMatchObject({ rollback_path: KEPT, rollback_expires_at: expect.any(String) });
  const headers = { 'idempotency-key': 'undo-1' };
  const first = await rollBack(id, headers);
  expect(first.statusCode).toBe(202);
  const { rollbackJobId } = first.json().data;
  expect(first.json()).toEqual({
    ...{ success: true, message: 'Rollback initiated successfully' },
    data: {
      ...{ rollbackJobId, restoreJobId: id, status: 'pending', servicesRestored: [], duration: null },
      warnings: [],
    },
  });
  expect(first.headers).toMatchObject({ location: `/api/jobs/${rollbackJobId}`, 'ratelimit-limit': '10' });
  const repeat = await rollBack(id, headers);
  expect([repeat.body, repeat.headers['idempotency-replayed']]).toEqual([first.body, 'true']);
  const second = await rollBack(id);
  expect([second.statusCode, second.json().code]).toEqual([409, 'CONFLICT']);
  expect(second.json().message).toContain(rollbackJobId);

  await world.end({ id: rollbackJobId, kind: 'rollback' }, undone);
  expect(await show(id)).toMatchObject({
    ...{ status: 'rolled_back', rollback_path: null, rollback_expires_at: null },
    audit_logs: [{ step_name: 'rollback', details: { rollback_job_id: rollbackJobId } }],
  });
  expect((await rollBack(id)).json().message).toContain('rolled back already');
});

test('its end can be waited for, good or bad', async () => {
  const id = await restored();
  const failing = rollBack(id, { prefer: 'wait=30' });
  const job = await world.running('rollback');
  const failure = { code: 'CONNECTION_LOST', message: 'The cable is cut.', retryable: false } as const;
  await world.end(job, { failure });
  const answer = await failing;
  expect([answer.statusCode, answer.json().message]).toEqual([500, 'Rollback failed: The cable is cut.']);
  expect(answer.json().details).toMatchObject({ restoreJobId: id, rollbackJobId: job.id });

  const waiting = rollBack(id, { prefer: 'wait=30' });
  await world.end(await world.running('rollback'), {
    result: { ...undone.result, notRunning: ['db'] },
  });
  const good = await waiting;
  expect(good.json()).toMatchObject({
    message: 'Restore rolled back successfully',
    data: { status: 'rolled_back', servicesRestored: ['app'], warnings: [expect.stringContaining('db')] },
  });
});

test('without a way back there is none, and before its end neither', async () => {
  const job = await begin();
  const early = await rollBack(job.id);
  expect([early.statusCode, early.json().message]).toEqual([409, expect.stringContaining('not ended')]);
  await world.end(job, { result: restoreResult() });
  const none = await rollBack(job.id);
  expect([none.statusCode, none.json().code]).toEqual([409, 'CONFLICT']);
  expect((await rollBack(crypto.randomUUID())).statusCode).toBe(404);
});

test('what failed half-way can be taken back too', async () => {
  const job = await begin();
  const failure = { code: 'RESTORE_FAILED', message: 'no', retryable: false } as const;
  await world.end(job, { failure, result: restoreResult({ outcome: 'failed', rollbackPath: KEPT }) });
  const { data } = (await rollBack(job.id)).json();
  await world.end({ id: data.rollbackJobId, kind: 'rollback' }, undone);
  expect((await show(job.id)).status).toBe('rolled_back');
});

test('operators of both projects may, viewers and strangers may not', async () => {
  const id = await restored();
  const status = async (role: 'operator' | 'viewer', ...projects: number[]) =>
    (await rollBack(id, {}, (await world.t.as(role, ...projects)).token)).statusCode;
  expect(await status('operator')).toBe(404);
  expect(await status('viewer', world.projectId)).toBe(403);
  expect(await status('operator', world.projectId)).toBe(202);
});
