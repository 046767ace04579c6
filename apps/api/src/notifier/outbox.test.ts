import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { EventBatch, NotificationEvent } from '@tarfleet/contracts';
import { NOTIFICATION_EVENTS } from '@tarfleet/contracts';
import type { JobDraft } from '@tarfleet/db';
import { planVerify } from '../planner/verify.ts';
import { createRecorder } from '../recorder/record.ts';
import { openRestoreFixture, type RestoreFixture, restoreResult } from '../testing/restore-fixture.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  queueThatIsDown,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';

let f: RestoreFixture;
let webhookId: string;
beforeAll(async () => {
  f = await openRestoreFixture();
  const { project, db } = f.t;
  const made = { projectId: project.id, url: 'https://hooks.example.com/', secretCiphertext: 'x' };
  webhookId = (await db.webhooks.create({ ...made, events: [...NOTIFICATION_EVENTS] })).id;
  // Of another project, and one that wants to hear nothing: told of nothing.
  const other = await db.projects.create({ name: 'other' });
  await db.webhooks.create({ ...made, projectId: other.id, events: [...NOTIFICATION_EVENTS] });
  const off = await db.webhooks.create({ ...made, events: [...NOTIFICATION_EVENTS] });
  await db.webhooks.update(off.id, { enabled: false });
});
afterAll(() => f.t.close());

const ask = {
  email: ['a@example.com', 'b@example.com'],
  webhook: 'https://monitoring.example.com/webhook',
  ...{ on_success: true, on_failure: true },
};
type Ended = Extract<EventBatch['events'][number], { type: 'ended' }>;
const failure = { code: 'STORAGE_FULL', message: 'The destination is full.', retryable: false } as const;

async function told(backupId: string, event?: NotificationEvent) {
  const { items } = await f.t.db.deliveries.list({
    page: 1,
    perPage: 100,
    backupId,
    ...(event ? { event } : {}),
  });
  return items.reverse().map((one) => ({ ...one, content: JSON.parse(one.payload) }));
}
const eventsOf = async (backupId: string) => (await told(backupId)).map(({ event }) => event);

async function backup(notification: Partial<typeof ask> | null = null) {
  const services = [await f.t.addService(f.t.server.id), await f.t.addService(f.t.server.id)];
  const wish = notification && { ...ask, ...notification };
  const { job, children } = await f.t.storeBackup(services, { notification: wish });
  const { keyPrefix } = (await f.t.db.backups.get(job.id))!;
  return { id: job.id, job, children, keyPrefix };
}
const end = (job: Pick<JobDraft, 'id' | 'kind'>, how: Pick<Ended, 'state' | 'result' | 'failure'>) =>
  f.recorder.record(attemptOf(job)(1, STARTED, { type: 'ended', ...how } as never));

test('a backup is told of once when a worker begins it, and once when it has ended', async () => {
  const { id, job, children, keyPrefix } = await backup();
  const artifacts = children.map((child) => artifactResult(child.id, keyPrefix));
  for (const child of children) await f.recorder.record(attemptOf(child)(1, STARTED));
  // Another attempt at it is not another beginning.
  await f.recorder.record(attemptOf(children[0]!, 1002)(1, STARTED));
  const verifiedAt = '2026-01-02T03:04:04.000Z';
  await end(job, { state: 'completed', result: backupResult(keyPrefix, { artifacts, verifiedAt }) });
  const all = await told(id);
  expect(all.map(({ event }) => event)).toEqual(['backup.started', 'backup.completed', 'backup.verified']);
  expect(all.every((one) => one.webhookId === webhookId && one.channel === 'webhook')).toBe(true);
  expect(all.map(({ jobId, state }) => [jobId, state])).toEqual(Array(3).fill([id, 'pending']));
  expect(all[0]?.content).toMatchObject({
    event: 'backup.started',
    timestamp: '2026-01-02T03:04:05.000Z',
    data: { backup_id: id, type: 'full', size_bytes: null, duration_seconds: null, status: 'in_progress' },
  });
  expect(all[1]?.content).toEqual({
    event: 'backup.completed',
    timestamp: '2026-01-02T03:04:05.000Z',
    data: {
      ...{ backup_id: id, type: 'full', size_bytes: 20, duration_seconds: expect.any(Number) },
      ...{ status: 'completed', project_id: f.t.project.id, name: 'nightly', verified: true, error: null },
      ...{ started_at: expect.any(String), completed_at: '2026-01-02T03:04:05.000Z' },
    },
  });
  expect(all[2]?.content.data).toMatchObject({ backup_id: id, status: 'passed', issues: [] });
});

test('whom a request named is told of the end alone, each mailbox by itself', async () => {
  const { id, job, children, keyPrefix } = await backup({});
  await f.recorder.record(attemptOf(children[0]!)(1, STARTED));
  const artifacts = children.map((child) => artifactResult(child.id, keyPrefix));
  await end(job, { state: 'completed', result: backupResult(keyPrefix, { artifacts }) });
  const own = (await told(id)).filter((one) => one.webhookId === null);
  expect(own.map(({ event, channel, target }) => [event, channel, target])).toEqual([
    ['backup.completed', 'webhook', ask.webhook],
    ['backup.completed', 'email', 'a@example.com'],
    ['backup.completed', 'email', 'b@example.com'],
  ]);
});

test.each([
  ['failed', { failure }],
  ['cancelled', { failure: { ...failure, code: 'CANCELLED' } }],
] as const)('a backup that %s is a failure, with its status', async (state, how) => {
  const { id, job } = await backup({ on_success: false });
  await end(job, { state, ...how });
  const all = await told(id);
  expect(new Set(all.map(({ event }) => event))).toEqual(new Set(['backup.failed']));
  expect(all).toHaveLength(4);
  expect(all[0]?.content.data).toMatchObject({ status: state, error: { message: failure.message } });
});

test('a partial backup is a failure to those who rely on it', async () => {
  const { id, job, children, keyPrefix } = await backup({ on_failure: false });
  const [done, lost] = children as [(typeof children)[0], (typeof children)[0]];
  const failed = [{ artifactId: lost.id, serviceId: lost.id, serviceName: 'db', failure }];
  const artifacts = [artifactResult(done.id, keyPrefix)];
  await end(job, { state: 'partial', result: backupResult(keyPrefix, { artifacts, failed }) });
  const all = await told(id);
  expect(all.map(({ event, webhookId: to }) => [event, to])).toEqual([['backup.failed', webhookId]]);
  expect(all[0]?.content.data).toMatchObject({
    ...{ status: 'partial', error: { code: 'STORAGE_FULL', message: 'db: The destination is full.' } },
  });
});

test('a request that wants to hear of failures alone hears of no success', async () => {
  const { id, job, children, keyPrefix } = await backup({ on_success: false });
  const artifacts = children.map((child) => artifactResult(child.id, keyPrefix));
  await end(job, { state: 'completed', result: backupResult(keyPrefix, { artifacts }) });
  expect((await told(id)).filter((one) => one.webhookId === null)).toEqual([]);
});

test('what happened and what is told of it are stored together or not at all', async () => {
  const { id, job } = await backup({});
  const { db } = f.t;
  const dying = createRecorder({
    ...{ logger: silent, sweepGraceMs: 0, onEnded: () => undefined },
    db: {
      ...db,
      transaction: (action) =>
        db.transaction(async (tx) => {
          await action(tx);
          expect((await tx.deliveries.list({ page: 1, perPage: 10, backupId: id })).total).toBe(4);
          throw new Error('the process dies here');
        }),
    },
  });
  const batch = attemptOf(job)(1, STARTED, { type: 'ended', state: 'failed', failure });
  await expect(dying.record(batch)).rejects.toThrow('dies here');
  expect([await eventsOf(id), (await db.jobs.get(id))?.state]).toEqual([[], 'queued']);
  // The queue brings the batch again, and again.
  await f.recorder.record(batch);
  await f.recorder.record(batch);
  expect(await eventsOf(id)).toEqual(Array(4).fill('backup.failed'));
});

test('a verification is told of with what it found, also when it came to nothing', async () => {
  const { backup: source } = await f.backedUp();
  const verify = async (how: Pick<Ended, 'state' | 'result' | 'failure'>) => {
    const draft = await planVerify(f.t, { backup: source, userId: f.t.user.id, requestId: 'r' });
    await f.t.dispatcherOn(queueThatIsDown()).submit(draft);
    await end(draft.root, how);
    const found = (await told(source.id, 'backup.verified')).find(({ jobId }) => jobId === draft.root.id);
    return found?.content.data;
  };
  const checks = {
    ...{ checksum: 'passed', contents: 'skipped', encryption: 'skipped', compression: 'skipped' },
    metadata: 'passed',
  } as const;
  const result = {
    ...{ kind: 'verify', level: 'quick', narrowed: false, verifiedAt: '2026-01-02T03:04:05.000Z', checks },
    ...{ services: [], damagedAncestors: [] },
  } as const;
  expect(
    await verify({ state: 'completed', result: { ...result, valid: true, issues: [] } as never }),
  ).toMatchObject({
    ...{ backup_id: source.id, type: 'full', size_bytes: 10, status: 'passed', verification_level: 'quick' },
  });
  const bad = { ...result, valid: false, issues: ['An archive is damaged.'] } as never;
  expect(await verify({ state: 'completed', result: bad })).toMatchObject({
    ...{ status: 'failed', issues: ['An archive is damaged.'], error: null },
  });
  expect(await verify({ state: 'failed', failure })).toMatchObject({
    ...{ status: 'not_completed', verification_level: null, error: { code: 'STORAGE_FULL' } },
  });
});

test('a restore is told of when it begins and when it ends', async () => {
  const { backup: source } = await f.backedUp();
  const restored = await f.start(source, { notification: ask });
  await f.end(restored, { state: 'completed', result: restoreResult() });
  const restores = (await told(source.id)).filter(({ event }) => event.startsWith('restore.'));
  expect(restores.map(({ event, channel }) => [event, channel])).toEqual([
    ['restore.started', 'webhook'],
    ...[
      ['restore.completed', 'webhook'],
      ['restore.completed', 'webhook'],
    ],
    ...[
      ['restore.completed', 'email'],
      ['restore.completed', 'email'],
    ],
  ]);
  expect(restores[0]?.content.data).toMatchObject({
    restore_id: restored.id,
    status: 'in_progress',
    error: null,
  });
  expect(restores[1]?.content.data).toMatchObject({
    ...{ restore_id: restored.id, backup_id: source.id, status: 'completed', services_restored: ['app'] },
  });
});

test('a restore that was rolled back has failed, and says so', async () => {
  const { backup: source } = await f.backedUp();
  const job = await f.start(source, { notification: { ...ask, on_success: false } });
  const result = restoreResult({ outcome: 'rolled_back', restored: [] });
  await f.end(job, { state: 'failed', result, failure: { ...failure, code: 'RESTORE_FAILED' } });
  const failed = (await told(source.id)).filter(({ event }) => event === 'restore.failed');
  expect(failed).toHaveLength(4);
  expect(failed[0]?.content.data).toMatchObject({
    ...{ status: 'rolled_back', error: { code: 'RESTORE_FAILED', message: failure.message } },
  });
});
