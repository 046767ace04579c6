import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JobEventBody, RestoreResult, RollbackResult } from '@tarfleet/contracts';
import { openRestoreFixture, type RestoreFixture, restoreResult } from '../testing/restore-fixture.ts';
import { attemptOf, STARTED } from '../testing/run-fixture.ts';

const AT = new Date('2026-01-02T03:04:05.000Z');
const HOUR_MS = 3600_000;
const KEPT = '/var/lib/tarfleet/restores/x';

let f: RestoreFixture;
beforeAll(async () => {
  f = await openRestoreFixture();
});
afterAll(() => f.t.close());

type Ended = Omit<Extract<JobEventBody, { type: 'ended' }>, 'type'>;
const read = async (id: string) => (await f.t.db.restores.get(id))!;
const failed = (message = 'It broke.'): Ended => ({
  ...{ state: 'failed', failure: { code: 'RESTORE_FAILED', message, retryable: false } },
});
const completed = (change: Partial<RestoreResult> = {}): Ended => ({
  ...{ state: 'completed', result: restoreResult({ rollbackPath: KEPT, ...change }) },
});
const undone = (action: RollbackResult['action']): Ended => ({
  state: 'completed',
  result: { kind: 'rollback', action, restored: ['app'], notRunning: [] },
});
const isLeased = async (serviceId: string) => {
  const other = (await f.backedUp()).backup.id;
  const taken = await f.t.db.leases.take(other, 'verify', [serviceId]);
  await f.t.db.leases.release(other);
  return taken.length > 0;
};
const step = (
  number: number,
  name: string,
  status: 'started' | 'completed' | 'failed',
  details?: object,
) => ({
  ...{ type: 'step' as const, number, name, status, message: `about ${name}` },
  ...(details ? { details: { ...details } } : {}),
});

test('a restore that finds the backup damaged says so of the backup', async () => {
  for (const [code, verified] of [
    ['BACKUP_CORRUPTED', false],
    ['RESTORE_FAILED', true],
  ] as const) {
    const { backup } = await f.backedUp();
    await f.t.db.backups.change(backup.id, { verified: true });
    const batch = attemptOf(await f.start(backup));
    const failure = { code, message: 'web: SHA-256 differs.', retryable: false };
    await f.recorder.record(batch(1, STARTED));
    await f.recorder.record(batch(2, { type: 'ended', state: 'failed', failure }));
    expect((await f.t.db.backups.get(backup.id))?.verified).toBe(verified);
  }
});

test('each step brings the state that document 1 has for it, and its details are kept', async () => {
  const restore = await f.start((await f.backedUp()).backup);
  const batch = attemptOf(restore);
  await f.recorder.record(batch(1, STARTED));
  const states = [
    ['connect', 'preparing'],
    ['verify_integrity', 'verifying'],
    ['preflight', 'preparing'],
    ['prepare_data', 'preparing'],
    ['create_rollback', 'preparing'],
    ['stop_services', 'stopping_services'],
    ['restore_data', 'restoring'],
    ['restart_services', 'restarting_services'],
    ['health_checks', 'restarting_services'],
    ['rollback', 'restarting_services'],
  ] as const;
  for (const [index, [name, status]] of states.entries()) {
    const begin = step(index + 1, name, 'started', { early: true });
    await f.recorder.record(batch(2 + 2 * index, begin));
    expect(await read(restore.id)).toMatchObject({ status, currentStep: `about ${name}`, startedAt: AT });
    await f.recorder.record(batch(3 + 2 * index, step(index + 1, name, 'completed', { bytes: index })));
  }
  expect(await f.t.db.restores.steps(restore.id)).toMatchObject(
    states.map(([stepName], index) => ({ stepName, status: 'completed', details: { bytes: index } })),
  );
});

test('what a dead attempt had in hand is interrupted, by the next one and by the end', async () => {
  const restore = await f.start((await f.backedUp()).backup);
  await f.recorder.record(attemptOf(restore)(1, STARTED, step(1, 'connect', 'started')));
  const second = attemptOf(restore, 1002);
  await f.recorder.record(second(1, STARTED, step(1, 'connect', 'started')));
  const statuses = async () => (await f.t.db.restores.steps(restore.id)).map(({ status }) => status);
  expect(await statuses()).toEqual(['interrupted', 'in_progress']);
  await f.recorder.record(second(3, { type: 'ended', ...failed() }));
  expect(await statuses()).toEqual(['interrupted', 'interrupted']);
});

test('a completed restore: the count, the lease, and a way back for a day', async () => {
  const { backup, service } = await f.backedUp();
  const restore = await f.start(backup);
  expect(await isLeased(service.id)).toBe(true);
  await f.end(restore, completed({ restored: [service.name] }));
  const expires = new Date(AT.getTime() + 24 * HOUR_MS);
  expect(await read(restore.id)).toMatchObject({
    ...{ status: 'completed', progressPercentage: 100, servicesRestored: [service.name], completedAt: AT },
    ...{ rollbackPath: KEPT, rollbackExpiresAt: expires, errorMessage: null },
  });
  expect(await f.t.db.backups.get(backup.id)).toMatchObject({ restoreCount: 1, lastRestoredAt: AT });
  expect(await isLeased(service.id)).toBe(false);
  const without = await f.start(backup);
  await f.end(without, completed({ rollbackPath: null }));
  expect(await read(without.id)).toMatchObject({ rollbackPath: null, rollbackExpiresAt: null });
});

const outcome = (how: Partial<RestoreResult>): Pick<Ended, 'result'> => ({
  result: restoreResult({ restored: [], ...how }),
});
const app = { service: 'app', failure: { code: 'COMMAND_FAILED', message: 'no', retryable: false } } as const;
test.each<[string, Ended, object]>([
  [
    'rolled back',
    { ...failed(), ...outcome({ outcome: 'rolled_back', failed: [app] }) },
    { status: 'rolled_back', servicesFailed: ['app'], rollbackPath: null, errorMessage: 'It broke.' },
  ],
  [
    'left half-way',
    { ...failed(), ...outcome({ outcome: 'failed', rollbackPath: KEPT, restored: ['db'], failed: [app] }) },
    { status: 'failed', servicesRestored: ['db'], rollbackPath: KEPT, rollbackExpiresAt: null },
  ],
  [
    'failed before anything changed',
    { ...failed(), ...outcome({ outcome: 'unchanged' }) },
    {
      status: 'failed',
      servicesFailed: [expect.any(String)],
      rollbackPath: null,
      currentStep: 'Restore failed',
    },
  ],
  ['failed without a result', failed(), { status: 'failed', servicesFailed: [expect.any(String)] }],
  [
    'cancelled and undone',
    { ...failed('enough'), state: 'cancelled', ...outcome({ outcome: 'rolled_back' }) },
    { status: 'rolled_back', errorMessage: 'Cancelled: enough' },
  ],
  [
    'cancelled',
    { ...failed('Cancelled by a@b'), state: 'cancelled' },
    { status: 'failed', currentStep: 'Cancelled', errorMessage: 'Cancelled by a@b' },
  ],
])('a restore that was %s', async (_name, how, expected) => {
  const { backup, service } = await f.backedUp();
  const restore = await f.start(backup);
  await f.end(restore, how);
  expect(await read(restore.id)).toMatchObject({ completedAt: AT, ...expected });
  expect(await f.t.db.backups.get(backup.id)).toMatchObject({ restoreCount: 0 });
  expect(await isLeased(service.id)).toBe(false);
  expect((await f.t.db.jobs.get(restore.id))!.result).toEqual(how.result ?? null);
});

test('a rollback on request: its steps, the restore’s state, and its lease', async () => {
  const { backup, service } = await f.backedUp();
  const restore = await f.start(backup);
  await f.end(restore, completed());
  const job = await f.rollback(restore.id, 'undo');
  expect(JSON.parse(job.plan)).toMatchObject({
    ...{ action: 'undo', restoreJobId: restore.id, backupId: backup.id, healthChecks: true },
  });
  expect(await isLeased(service.id)).toBe(true);
  await expect(f.rollback(restore.id, 'forget')).rejects.toMatchObject({ code: 'CONFLICT' });
  const batch = attemptOf(job);
  await f.recorder.record(batch(1, STARTED, step(1, 'connect', 'started'), step(1, 'connect', 'completed')));
  expect((await read(restore.id)).status).toBe('completed');
  await f.recorder.record(batch(4, { type: 'ended', ...undone('undo') }));
  expect(await read(restore.id)).toMatchObject({
    ...{ status: 'rolled_back', rollbackPath: null, rollbackExpiresAt: null },
  });
  expect(await f.t.db.restores.steps(restore.id)).toMatchObject([
    { stepNumber: 1, stepName: 'connect', status: 'completed' },
    { stepNumber: 2, stepName: 'rollback', status: 'completed', details: { rollback_job_id: job.id } },
  ]);
  expect(await isLeased(service.id)).toBe(false);
  await expect(f.rollback(restore.id, 'undo')).rejects.toMatchObject({ code: 'CONFLICT' });
});

test('a rollback that failed leaves the restore and its way back as they were, and says why', async () => {
  const restore = await f.start((await f.backedUp()).backup);
  await f.end(restore, completed());
  await f.end(await f.rollback(restore.id, 'undo'), failed('No way.'));
  expect(await read(restore.id)).toMatchObject({
    ...{ status: 'completed', rollbackPath: KEPT, errorMessage: 'Not rolled back: No way.' },
  });
  await f.end(await f.rollback(restore.id, 'undo'), undone('undo'));
  expect((await read(restore.id)).status).toBe('rolled_back');
});

test('a way back is due when its time is over, and again after a pause that grows', async () => {
  const restore = await f.start((await f.backedUp()).backup, { keepHours: 1 });
  await f.end(restore, completed());
  const isDue = async (hours: number) =>
    (await f.t.db.restores.dueForForget(new Date(AT.getTime() + hours * HOUR_MS), 1000)).some(
      ({ id }) => id === restore.id,
    );
  expect([await isDue(0.9), await isDue(1)]).toEqual([false, true]);
  await f.end(await f.rollback(restore.id, 'forget'), failed());
  await f.end(await f.rollback(restore.id, 'forget'), failed());
  expect([await isDue(1.9), await isDue(2)]).toEqual([false, true]);
  expect(await read(restore.id)).toMatchObject({ status: 'completed', errorMessage: null, forgetTries: 2 });
  await f.end(await f.rollback(restore.id, 'forget'), undone('forget'));
  expect(await read(restore.id)).toMatchObject({ status: 'completed', rollbackPath: null });
  expect(await isDue(1000)).toBe(false);
});

test('of two that want the same way back at one moment, one gets it', async () => {
  const restore = await f.start((await f.backedUp()).backup);
  await f.end(restore, completed());
  const both = await Promise.allSettled([
    f.rollback(restore.id, 'undo'),
    f.rollback(restore.id, 'forget'),
    f.rollback(restore.id, 'forget'),
  ]);
  expect(both.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected']);
  for (const one of both) {
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'CONFLICT' });
  }
});

test('a later restore of the same files has to be rolled back first', async () => {
  const { backup } = await f.backedUp();
  const first = await f.start(backup);
  await f.end(first, completed());
  const elsewhere = await f.start(backup, { restorePath: '/mnt' });
  const later = await f.start((await f.backedUp()).backup);
  for (const job of [elsewhere, later]) await endLater(job.id, completed());
  const second = await f.start(backup);
  await endLater(second.id, completed());
  await expect(f.rollback(first.id, 'undo')).rejects.toMatchObject({
    ...{ code: 'CONFLICT', details: { restoreJobId: second.id } },
  });
  await f.end(await f.rollback(second.id, 'undo'), undone('undo'));
  await expect(f.rollback(first.id, 'undo')).resolves.toBeDefined();
});

/** A minute after the others. */
async function endLater(id: string, how: Ended): Promise<void> {
  const batch = attemptOf({ id, kind: 'restore' })(1, STARTED, { type: 'ended', ...how });
  const at = new Date(AT.getTime() + 60_000).toISOString();
  await f.recorder.record({ ...batch, events: batch.events.map((event) => ({ ...event, at })) });
}
