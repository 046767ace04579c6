import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, expect, test } from '@jest/globals';
import type { ArtifactResult, JobEventBody } from '@tarfleet/contracts';
import type { DestinationRecord, FullBackup, JobRecord, ServiceRecord } from '@tarfleet/db';
import { hideIfNeeded, planDelete } from '../planner/on-backup.ts';
import { placeOf } from '../planner/place.ts';
import { planVerify } from '../planner/verify.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';
import { startCopies } from './copies.ts';
import { createRecorder } from './record.ts';

let t: RunFixture;
let service: ServiceRecord;
let far: DestinationRecord;
let record: ReturnType<typeof createRecorder>['record'];
beforeEach(async () => {
  t = await openRunFixture();
  service = await t.addService(t.server.id);
  far = await addDestination('far');
  ({ record } = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined }));
}, 60_000);
afterEach(() => t.close());

const addDestination = (name: string) =>
  t.db.destinations.create({
    ...{ name, type: 'local', config: { path: `/srv/${name}` }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
const get = async (id: string): Promise<FullBackup> => (await t.db.backups.get(id))!;
const start = () => startCopies({ ...t, dispatcher: t.dispatcherOn(queueThatIsDown()), logger: silent });
const jobsOn = async (id: string): Promise<string[]> =>
  (await t.db.jobs.unfinishedOf(id)).map(({ kind }) => kind);
const end = async (
  job: Pick<JobRecord, 'id' | 'kind'>,
  ended: Partial<Extract<JobEventBody, { type: 'ended' }>>,
) => {
  const state = ended.failure ? 'failed' : 'completed';
  await record(attemptOf(job)(1, STARTED, { type: 'ended', state, ...ended }));
};
const FULL = { code: 'STORAGE_FULL', message: 'No room.', retryable: false } as const;
const COPIED = { kind: 'copy', objects: 4, bytes: 30, kept: 0 } as const;

async function endCopy(id: string, failure?: typeof FULL): Promise<void> {
  const job = (await t.db.jobs.unfinishedOf(id)).find(({ kind }) => kind === 'copy');
  await end(job!, failure ? { failure } : { result: COPIED });
}
/** A backup that has ended; an incremental one needs those that its parent needs. */
async function backedUp(copyTo: string[], type: 'full' | 'incremental' = 'full'): Promise<string> {
  const { job, children } = await t.storeBackup([service], { type, copyTo });
  const { keyPrefix } = await get(job.id);
  const artifacts: ArtifactResult[] = [];
  for (const { id, plan } of children) {
    const { parent } = JSON.parse(plan);
    const needs = await t.db.artifacts.ancestorsOf(id);
    artifacts.push({
      ...artifactResult(id, keyPrefix),
      ...{ startedAt: new Date().toISOString(), endedAt: new Date().toISOString() },
      index: {
        ...{ key: `${keyPrefix}/${id}/1001-abcdefabcdef.index.gz`, sha256: 'a'.repeat(64), storedBytes: 1 },
        ...{ entries: 1, files: 1, contentBytes: 1 },
      },
      parent: parent && { backupId: parent.backupId, artifactId: parent.artifactId },
      ancestors: needs,
    });
  }
  await end(job, { result: backupResult(keyPrefix, { artifacts }) });
  return job.id;
}
const stateOf = async (id: string) => {
  const { status, outcome, copies } = await get(id);
  return [status, outcome, ...copies.map((copy) => copy.status)];
};
const codeOf = (promise: Promise<unknown>): Promise<string> =>
  promise.then(
    () => 'it went well',
    (error: { code?: string }) => error.code ?? String(error),
  );

test('a copy waits for its backup, is begun once whoever begins it, and a failed one is made again', async () => {
  const { job } = await t.storeBackup([service], { copyTo: [far.id] });
  await start();
  expect(await stateOf(job.id)).toEqual(['in_progress', null, 'pending']);
  const { keyPrefix } = await get(job.id);
  const [child] = await t.db.jobs.children(job.id);
  await end(job, { result: backupResult(keyPrefix, { artifacts: [artifactResult(child!.id, keyPrefix)] }) });
  expect(await stateOf(job.id)).toEqual(['completed', 'completed', 'pending']);
  await Promise.all([start(), start(), start()]);
  expect(await jobsOn(job.id)).toEqual(['copy']);
  expect(await stateOf(job.id)).toEqual(['completed', 'completed', 'copying']);
  await endCopy(job.id, FULL);
  expect(await stateOf(job.id)).toEqual(['partial', 'completed', 'failed']);
  expect((await get(job.id)).copies[0]).toMatchObject({
    errorCode: 'STORAGE_FULL',
    errorMessage: 'No room.',
  });
  const [key] = await t.db.retention.dueSeries(new Date('2100-01-01'), null, 9);
  expect(await t.db.retention.membersOf(key!)).toMatchObject([{ id: job.id, status: 'completed' }]);

  await start();
  expect(await jobsOn(job.id)).toEqual([]);
  expect(await t.db.copies.want({ backupId: job.id, destinationId: far.id })).toBe(true);
  expect(await t.db.copies.want({ backupId: job.id, destinationId: far.id })).toBe(false);
  await start();
  await endCopy(job.id);
  expect(await stateOf(job.id)).toEqual(['completed', 'completed', 'completed']);
  expect((await get(job.id)).copies[0]).toMatchObject({ objects: 4, bytes: 30, errorCode: null });
});

test('what an incremental builds on is copied first, also when it was not wanted there or had failed', async () => {
  const full = await backedUp([]);
  const middle = await backedUp([], 'incremental');
  const last = await backedUp([far.id], 'incremental');
  expect((await get(last)).type).toBe('incremental');
  for (const id of [full, middle, last]) {
    await start();
    expect(await Promise.all([full, middle, last].map(jobsOn))).toEqual(
      [full, middle, last].map((one) => (one === id ? ['copy'] : [])),
    );
    await endCopy(id);
  }
  expect(await placeOf(t.db, await get(last), far.id)).toMatchObject({ id: far.id });

  const next = await backedUp([far.id], 'incremental');
  await start();
  await endCopy(next, FULL);
  const after = await backedUp([far.id], 'incremental');
  expect(await stateOf(next)).toEqual(['completed', 'completed', 'pending']);
  await start();
  expect(await jobsOn(after)).toEqual([]);
  await endCopy(next, FULL);
  for (const id of [next, after]) expect(await stateOf(id)).toEqual(['partial', 'completed', 'failed']);
  expect((await get(after)).copies[0]?.errorMessage).toContain(next);
  expect(await codeOf(placeOf(t.db, await get(after), far.id))).toBe('BACKUP_INCOMPLETE');
  expect(await codeOf(placeOf(t.db, await get(full), service.id))).toBe('NOT_FOUND');
});

test('hidden backups are copied for those that need them, and stay deleted for their users', async () => {
  const full = await backedUp([]);
  const later = await backedUp([], 'incremental');
  await hideIfNeeded(t.db, await get(full), { by: 'user', force: true });
  await t.db.copies.want({ backupId: later, destinationId: far.id });
  await t.db.copies.wantAncestors(later);
  await start();
  await endCopy(full, FULL);
  expect((await get(full)).status).toBe('hidden');
  expect((await get(later)).status).toBe('partial');
});

test('a deletion goes through every place at which something may lie, and is over when all of them are empty', async () => {
  const never = await addDestination('never');
  const id = await backedUp([far.id, never.id]);
  const forced = { by: 'user', force: true } as const;
  const plan = async () =>
    planDelete(t, { backup: await get(id), leave: forced, userId: null, requestId: 'r' });
  const submit = async (draft: Awaited<ReturnType<typeof plan>>) =>
    t.dispatcherOn(queueThatIsDown()).submit(draft);
  await t.db.destinations.update(never.id, { enabled: false });
  const early = await plan();
  expect(JSON.parse(early.root.plan).copies).toEqual([]);
  await start();
  expect(await codeOf(submit(early))).toBe('BACKUP_IN_PROGRESS');
  await endCopy(id);
  expect(await codeOf(submit(early))).toBe('CONFLICT');
  expect(await stateOf(id)).toEqual(['partial', 'completed', 'completed', 'failed']);

  const draft = await plan();
  expect(JSON.parse(draft.root.plan).copies).toMatchObject([{ id: far.id, config: { path: '/srv/far' } }]);
  await submit(draft);
  await start();
  expect(await jobsOn(id)).toEqual(['delete']);
  await end(draft.root, { failure: { code: 'DESTINATION_UNREACHABLE', message: 'away', retryable: false } });
  expect((await get(id)).copies).toHaveLength(2);
  expect(await codeOf(t.db.destinations.delete(far.id))).toBe('DESTINATION_IN_USE');
  expect(await t.db.retention.brokenDeletions(new Date('2100-01-01'), 9)).toEqual([id]);
  const again = await planDelete(t, {
    ...{ backup: await get(id), leave: { by: 'earlier-deletion' }, userId: null, requestId: 'r' },
  });
  await submit(again);
  await end(again.root, { result: { kind: 'delete', objects: 8, bytes: 60 } });
  expect(await get(id)).toMatchObject({ status: 'deleted', copies: [] });
  expect(await t.db.destinations.delete(far.id)).toBe(true);
});

test('a backup that failed has no copies', async () => {
  const { job } = await t.storeBackup([service], { copyTo: [far.id] });
  await end(job, { failure: FULL });
  expect(await stateOf(job.id)).toEqual(['failed', 'failed']);
  expect(await t.db.destinations.delete(far.id)).toBe(true);
});

test('what cannot be a further destination is refused; a schedule backs up all the same', async () => {
  expect(await codeOf(t.storeBackup([service], { copyTo: [t.destination.id] }))).toBe('CONFLICT');
  expect(await codeOf(t.storeBackup([service], { copyTo: [far.id, far.id] }))).toBe('CONFLICT');
  expect(await codeOf(t.storeBackup([service], { copyTo: [service.id] }))).toBe('NOT_FOUND');
  await t.db.destinations.update(far.id, { enabled: false });
  expect(await codeOf(t.storeBackup([service], { copyTo: [far.id] }))).toBe('CONFLICT');
  const scheduleId = service.id;
  const { job } = await t.storeBackup([service], { copyTo: [far.id], scheduleId, userId: null });
  const { keyPrefix } = await get(job.id);
  const [child] = await t.db.jobs.children(job.id);
  await end(job, { result: backupResult(keyPrefix, { artifacts: [artifactResult(child!.id, keyPrefix)] }) });
  expect(await stateOf(job.id)).toEqual(['partial', 'completed', 'failed']);
});

test('a copy that fails while another one is completed makes the backup partial', async () => {
  const near = await addDestination('near');
  const backupId = await backedUp([far.id, near.id]);
  const at = new Date();
  const job = service.id;
  let completed: Promise<void> | undefined;
  await t.db.transaction(async (tx) => {
    await tx.copies.fail({ backupId, destinationId: far.id }, 'pending', FULL, at);
    await tx.copies.showIn([backupId]);
    completed = t.db.transaction(async (other) => {
      await other.copies.begin({ backupId, destinationId: near.id }, job);
      await other.copies.complete({ backupId, destinationId: near.id }, job, { ...COPIED, at });
      await other.copies.showIn([backupId]);
    });
    // The other one waits for this one's backup before this one has committed.
    await sleep(300);
  });
  await completed;
  expect((await get(backupId)).status).toBe('partial');
});

test('damage in a copy is the copy’s alone, and a backup’s own is not the copy’s', async () => {
  const id = await backedUp([far.id]);
  await start();
  await endCopy(id);
  const verify = async (destinationId: string | null, valid: boolean) => {
    const draft = await planVerify(t, {
      ...{ backup: await get(id), destinationId, userId: null, requestId: 'r', level: 'quick' },
    });
    await t.dispatcherOn(queueThatIsDown()).submit(draft);
    const artifacts = JSON.parse(draft.root.plan).destination.id;
    await end(draft.root, {
      result: {
        ...{ kind: 'verify', valid, level: 'quick', verifiedAt: '2026-01-02T03:04:05.000Z', narrowed: false },
        ...{ issues: valid ? [] : ['The object is gone.'], damagedAncestors: [], components: [], checks: [] },
      } as never,
    });
    return artifacts as string;
  };
  expect(await verify(far.id, true)).toBe(far.id);
  expect(await get(id)).toMatchObject({ verified: null, copies: [{ verifiedAt: expect.any(Date) }] });
  expect(await verify(null, true)).toBe(t.destination.id);
  await verify(far.id, false);
  expect(await get(id)).toMatchObject({ status: 'partial', verified: true, copies: [{ status: 'failed' }] });
  await verify(null, true);
  expect(await get(id)).toMatchObject({ status: 'partial', verified: true });
});
