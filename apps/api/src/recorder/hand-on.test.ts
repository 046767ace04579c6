import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failure, RestorePlan } from '@tarfleet/contracts';
import type { ArtifactRecord, FullBackup, Repositories } from '@tarfleet/db';
import { dispatchAfter } from '../dispatch-after.ts';
import { planEmergency } from '../planner/emergency.ts';
import { planRestore } from '../planner/restore.ts';
import { openRestoreFixture, type RestoreFixture } from '../testing/restore-fixture.ts';
import { artifactResult, backupResult, queueThatIsDown, silent } from '../testing/run-fixture.ts';
import { endJob } from './end-job.ts';
import { servicesNotThere } from './nothing-there.ts';

let fixture: RestoreFixture;
beforeAll(async () => {
  fixture = await openRestoreFixture();
});
afterAll(() => fixture.t.close());

const FAILED: Failure = { code: 'STORAGE_FULL', message: 'No room.', retryable: false };

/** A restore that waits for an emergency backup, as the route stores them. */
async function accepted(afterAnyEnd = false) {
  const { t } = fixture;
  const { service, backup } = await fixture.backedUp();
  const { draft } = await planEmergency(t, {
    ...{
      backup,
      artifacts: backup.artifacts as ArtifactRecord[],
      userId: t.user.id,
      userEmail: t.user.email,
    },
    ...{ requestId: 'req', encrypt: false, keepDays: 7, whole: true },
  });
  const dispatcher = t.dispatcherOn(queueThatIsDown());
  const restore = await planRestore(t, {
    ...{ backup, userId: t.user.id, requestId: 'req', target: null, services: null, paths: null },
    ...{ restorePath: null, overwrite: true, verifyIntegrity: true, healthChecks: false, dropExisting: true },
    ...{ mayUseLocal: true, rollback: true, keepHours: 1 },
  });
  await dispatchAfter({ db: t.db, dispatcher }, draft!, { afterAnyEnd }).submit(restore);
  const before = (await t.db.backups.get(draft!.root.id)) as FullBackup;
  return { service, backup, before, first: draft!.root, restore: restore.root };
}
type Accepted = Awaited<ReturnType<typeof accepted>>;

const due = async (id: string): Promise<boolean> => {
  const jobs = await fixture.t.db.jobs.undispatched(new Date(Date.now() + 60_000), 1000);
  return jobs.some((job) => job.id === id);
};
const holder = async ({ service }: Accepted) =>
  (await fixture.t.db.leases.held([service.id])).map(({ jobId, kind }) => [jobId, kind]);
async function complete({ first, before }: Accepted): Promise<void> {
  const children = await fixture.t.db.jobs.children(first.id);
  const artifacts = children.map(({ id }) => artifactResult(id, before.keyPrefix));
  await fixture.end(first, { state: 'completed', result: backupResult(before.keyPrefix, { artifacts }) });
}

test('the restore waits for the backup, and takes over what that holds without a moment between', async () => {
  const one = await accepted();
  const { t } = fixture;
  expect([await due(one.first.id), await due(one.restore.id)]).toEqual([true, false]);
  expect(await holder(one)).toEqual([[one.first.id, 'backup']]);
  expect(one.before).toMatchObject({
    ...{ occasion: 'emergency', lockReason: expect.stringContaining(one.backup.id), lockedBy: t.user.email },
    artifacts: [{ serviceId: one.service.id }],
  });
  const days = (one.before.lockUntil!.getTime() - Date.now()) / 86_400_000;
  expect(Math.round(days)).toBe(7);
  // Nobody sends it by hand either.
  const sent: string[] = [];
  const queue = {
    ...queueThatIsDown(),
    enqueue: async ({ jobId }: { jobId: string }) => void sent.push(jobId),
  };
  await t.dispatcherOn(queue).send(one.restore);
  expect(sent).toEqual([]);

  await complete(one);
  expect(await holder(one)).toEqual([[one.restore.id, 'restore']]);
  expect(await due(one.restore.id)).toBe(true);
  await t.dispatcherOn(queue).send(one.restore);
  expect(sent).toEqual([one.restore.id]);
  await fixture.end(one.restore, { state: 'failed', failure: FAILED });
  expect(await holder(one)).toEqual([]);
});

test.each([
  ['failed', FAILED],
  ['cancelled', { ...FAILED, code: 'CANCELLED' as const }],
] as const)('an emergency backup that is %s ends the restore with it', async (state, failure) => {
  const one = await accepted();
  await fixture.end(one.first, { state, failure });
  expect(await fixture.t.db.jobs.get(one.restore.id)).toMatchObject({
    ...{ state, attempt: 0, endedAt: expect.any(Date) },
    failure: { code: failure.code, message: expect.stringContaining('nothing was restored or changed') },
  });
  expect(await fixture.t.db.restores.get(one.restore.id)).toMatchObject({
    ...{ status: 'failed', completedAt: expect.any(Date), rollbackPath: null },
  });
  expect([await due(one.restore.id), await holder(one)]).toEqual([false, []]);
});

const unsavedOf = async ({ restore }: Accepted) => {
  const { plan } = (await fixture.t.db.jobs.get(restore.id))!;
  return (JSON.parse(plan) as RestorePlan).unsaved;
};
const GONE: Failure = { code: 'PATH_NOT_FOUND', message: 'None of the paths.', retryable: false };

test('a failure says how to restore without the emergency backup', async () => {
  const one = await accepted();
  await fixture.end(one.first, { state: 'failed', failure: FAILED });
  const { failure } = (await fixture.t.db.jobs.get(one.restore.id))!;
  expect(failure?.message).toContain('"emergency_backup":"attempt"');
});

test('where nothing was there to save, the restore goes on, and its log says so', async () => {
  const one = await accepted();
  await fixture.end(one.first, { state: 'failed', failure: GONE });
  expect([await due(one.restore.id), await holder(one)]).toEqual([true, [[one.restore.id, 'restore']]]);
  expect(await fixture.t.db.restores.steps(one.restore.id)).toMatchObject([
    {
      ...{ stepName: 'emergency_backup', status: 'skipped' },
      message: expect.stringContaining('not there any more'),
    },
  ]);
  expect(await unsavedOf(one)).toEqual([one.service.id]);
  await fixture.end(one.restore, { state: 'failed', failure: FAILED });
});

test('a partial one that lacks only what was not there is enough', async () => {
  const one = await accepted();
  const [child] = await fixture.t.db.jobs.children(one.first.id);
  const failed = [{ artifactId: child!.id, serviceId: one.service.id, serviceName: 'x', failure: GONE }];
  await fixture.end(one.first, { state: 'partial', result: backupResult(one.before.keyPrefix, { failed }) });
  expect(await due(one.restore.id)).toBe(true);
  expect(await unsavedOf(one)).toEqual([one.service.id]);
  await fixture.end(one.restore, { state: 'failed', failure: FAILED });
});

test('who takes any end has replaced what nobody saved', async () => {
  const one = await accepted(true);
  await fixture.end(one.first, { state: 'failed', failure: GONE });
  expect([await due(one.restore.id), await unsavedOf(one)]).toEqual([true, undefined]);
  await fixture.end(one.restore, { state: 'failed', failure: FAILED });
});

const tools = { runAs: null, binDir: null };
const connection = { ...tools, host: null, port: null, user: null, secrets: null };
const dumped = { ...connection, schemaOnly: false, includeTables: [], excludeTables: [] };
test.each([
  [undefined, true],
  [{ type: 'sqlite', path: '/srv/a.sqlite', ...tools }, true],
  [{ type: 'postgres', ...dumped, roles: false, databases: ['shop'] }, true],
  // The other one may well be there, and would be replaced.
  [{ type: 'postgres', ...dumped, roles: false, databases: ['shop', 'crm'] }, false],
  [{ type: 'mysql', ...dumped, databases: null }, false],
  [{ type: 'rows', ...connection, database: 'shop', rows: {} }, false],
])('what a missing path says of a service: %j', async (database, gone) => {
  const child = { id: 'c', plan: JSON.stringify({ service: { id: 's', database } }) };
  const tx = { jobs: { children: async () => [child] } } as unknown as Repositories;
  const end = { state: 'failed', at: new Date(), result: null, failure: GONE } as const;
  expect(await servicesNotThere(tx, { id: 'b', kind: 'backup' }, end)).toEqual(gone ? ['s'] : null);
});

test('a partial one ends it too', async () => {
  const one = await accepted();
  const [child] = await fixture.t.db.jobs.children(one.first.id);
  const failed = [{ artifactId: child!.id, serviceId: one.service.id, serviceName: 'x', failure: FAILED }];
  await fixture.end(one.first, { state: 'partial', result: backupResult(one.before.keyPrefix, { failed }) });
  expect(await fixture.t.db.jobs.get(one.restore.id)).toMatchObject({
    ...{ state: 'failed', failure: { code: 'BACKUP_INCOMPLETE' } },
  });
});

test('where that was asked for, a restore follows a failed backup, and never a cancelled one', async () => {
  const one = await accepted(true);
  await fixture.end(one.first, { state: 'failed', failure: FAILED });
  expect([await due(one.restore.id), await holder(one)]).toEqual([true, [[one.restore.id, 'restore']]]);
  await fixture.end(one.restore, { state: 'failed', failure: FAILED });
  const other = await accepted(true);
  await fixture.end(other.first, { state: 'cancelled', failure: { ...FAILED, code: 'CANCELLED' } });
  expect((await fixture.t.db.jobs.get(other.restore.id))?.state).toBe('cancelled');
});

test('a cancel of the backup calls the restore off, though it came too late for the backup', async () => {
  const one = await accepted(true);
  expect(await fixture.t.db.jobs.requestCancel(one.first.id, 'stop')).toBeTruthy();
  await complete(one);
  expect((await fixture.t.db.backups.get(one.first.id))?.status).toBe('completed');
  expect(await fixture.t.db.jobs.get(one.restore.id)).toMatchObject({
    ...{ state: 'cancelled', failure: { code: 'CANCELLED' } },
  });
  expect([await due(one.restore.id), await holder(one)]).toEqual([false, []]);
});

test('a restore that is cancelled while it waits leaves the services to the backup', async () => {
  const one = await accepted();
  const { t } = fixture;
  const options = { db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined };
  const job = (await t.db.jobs.get(one.restore.id))!;
  await endJob(options, job, { state: 'cancelled', result: null, failure: { ...FAILED, code: 'CANCELLED' } });
  expect(await holder(one)).toEqual([[one.first.id, 'backup']]);
  await complete(one);
  expect([await holder(one), await due(one.restore.id)]).toEqual([[], false]);
  expect((await t.db.backups.get(one.first.id))?.status).toBe('completed');
});

test('a service that is not backed up with all the paths any more is not whole', async () => {
  const { t } = fixture;
  const { service, backup } = await fixture.backedUp();
  await t.db.services.update(service.id, { configPaths: [], dataPaths: ['/elsewhere'] });
  const request = {
    ...{ backup, artifacts: backup.artifacts, userId: t.user.id, userEmail: t.user.email, requestId: 'req' },
    ...{ encrypt: false, keepDays: 0 },
  };
  await expect(planEmergency(t, { ...request, whole: true })).rejects.toMatchObject({ code: 'CONFLICT' });
  const { draft, warnings } = await planEmergency(t, { ...request, whole: false });
  expect([draft === null, warnings]).toEqual([false, [expect.stringContaining('with other paths')]]);
});

test('an emergency backup must be whole, or hold what there still is', async () => {
  const { t } = fixture;
  const { service, backup } = await fixture.backedUp();
  await t.db.services.delete(service.id);
  const request = {
    ...{ backup, artifacts: backup.artifacts, userId: t.user.id, userEmail: t.user.email, requestId: 'req' },
    ...{ encrypt: false, keepDays: 0 },
  };
  await expect(planEmergency(t, { ...request, whole: true })).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: expect.stringContaining(service.name) },
  });
  const { draft, warnings } = await planEmergency(t, { ...request, whole: false });
  expect([draft, warnings]).toEqual([null, [expect.stringContaining(service.name)]]);
});

test('where the destination is switched off, it goes to the default one; else nowhere, or it is refused', async () => {
  const { t } = fixture;
  const { backup } = await fixture.backedUp();
  const request = {
    ...{ backup, artifacts: backup.artifacts, userId: t.user.id, userEmail: t.user.email, requestId: 'req' },
    ...{ encrypt: false, keepDays: 0 },
  };
  const { id: second } = await t.db.destinations.create({
    ...{ name: 'second', type: 'local', config: { path: '/srv/second' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: true },
  });
  await t.db.destinations.update(backup.destinationId!, { enabled: false });
  const { draft, warnings } = await planEmergency(t, { ...request, whole: true });
  expect(JSON.parse(draft!.root.plan)).toMatchObject({ destination: { id: second } });
  expect(warnings).toEqual([expect.stringContaining('goes to the default one, second')]);

  await t.db.destinations.update(second, { enabled: false });
  await expect(planEmergency(t, { ...request, whole: true })).rejects.toMatchObject({
    ...{ code: 'CONFLICT', message: expect.stringContaining('"emergency_backup":"attempt"') },
  });
  const without = await planEmergency(t, { ...request, whole: false });
  expect([without.draft, without.warnings]).toEqual([
    null,
    [expect.stringContaining('no emergency backup is made')],
  ]);
});
