import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Failure, JobEventBody, JobResult, ServerTestResult, VerifyResult } from '@tarfleet/contracts';
import type { JobDraft, JobRecord } from '@tarfleet/db';
import { planDelete, planSweep } from '../planner/on-backup.ts';
import { planReseal, planServerTest } from '../planner/on-target.ts';
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
import { createRecorder, type Recorder } from './record.ts';

const GRACE_MS = 3600_000;
const AT = new Date('2026-01-02T03:04:05.000Z');
const LONG_AFTER = new Date('2100-01-01T00:00:00Z');
const failure = (code: Failure['code'], message = 'it broke'): Failure => ({
  code,
  message,
  retryable: false,
});

let t: RunFixture;
let recorder: Recorder;
beforeAll(async () => {
  t = await openRunFixture();
  recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: GRACE_MS, onEnded: () => undefined });
});
afterAll(() => t.close());

type Ended = Extract<JobEventBody, { type: 'ended' }>;
const end = (job: Pick<JobRecord, 'id' | 'kind'>, how: Omit<Ended, 'type'>, attempt = 1001) =>
  recorder.record(attemptOf(job, attempt)(1, STARTED, { type: 'ended', ...how }));
const completed = (result: JobResult): Omit<Ended, 'type'> => ({ state: 'completed', result });
const backupOf = async (id: string) => (await t.db.backups.get(id))!;
const isDue = async (id: string, now = LONG_AFTER) =>
  (await t.db.backups.dueForSweep(now, 1000)).some((backup) => backup.id === id);
const isLeased = async (serviceId: string, job: JobRecord) => {
  let leased = false;
  const undo = new Error('undo');
  await t.db
    .transaction(async (tx) => {
      leased = (await tx.leases.take(job.id, 'verify', [serviceId])).length > 0;
      throw undo;
    })
    .catch((error: unknown) => {
      if (error !== undo) throw error;
    });
  return leased;
};
const store = async (
  draft: Parameters<ReturnType<RunFixture['dispatcherOn']>['submit']>[0],
): Promise<JobDraft> => {
  await t.dispatcherOn(queueThatIsDown()).submit(draft);
  return draft.root;
};

async function twoServices() {
  const services = [await t.addService(t.server.id), await t.addService(t.server.id)];
  const stored = await t.storeBackup(services);
  const prefix = (await backupOf(stored.job.id)).keyPrefix;
  const [one, two] = stored.children as [JobRecord, JobRecord];
  return {
    ...stored,
    services,
    prefix,
    one,
    two,
    other: (await t.storeBackup([await t.addService(t.server.id)])).job,
  };
}
async function completedBackup() {
  const service = await t.addService(t.server.id);
  const { job, children } = await t.storeBackup([service]);
  const { keyPrefix } = await backupOf(job.id);
  const artifacts = [artifactResult(children[0]!.id, keyPrefix)];
  await end(job, completed(backupResult(keyPrefix, { artifacts })));
  return { backup: await backupOf(job.id), service, job };
}

test('a completed backup: totals, children, leases, retention, and no sweep', async () => {
  const { job, one, two, prefix, services, other } = await twoServices();
  expect(await isLeased(services[0]!.id, other)).toBe(true);
  await end(one, completed(artifactResult(one.id, prefix)));
  // The news of the second child never came: the parent's result says it all.
  const artifacts = [artifactResult(one.id, prefix), artifactResult(two.id, prefix)];
  await end(job, completed(backupResult(prefix, { artifacts, verifiedAt: AT.toISOString() })));
  expect(await backupOf(job.id)).toMatchObject({
    ...{ status: 'completed', completedAt: AT, sizeBytes: 20, contentBytes: 40, filesCount: 4 },
    ...{ directoriesCount: 2, manifestKey: `${prefix}/manifest.json`, manifestSha256: 'b'.repeat(64) },
    ...{
      verified: true,
      verifiedAt: AT,
      errorCode: null,
      retentionUntil: new Date(AT.getTime() + 7 * 86_400_000),
    },
    artifacts: [{ status: 'completed' }, { status: 'completed' }],
  });
  expect(await t.db.jobs.children(job.id)).toMatchObject([
    { state: 'completed' },
    { state: 'completed', endedAt: AT },
  ]);
  expect(await isLeased(services[0]!.id, other)).toBe(false);
  expect(await isLeased(services[1]!.id, other)).toBe(false);
  expect(await isDue(job.id)).toBe(false);
});

test.each([
  ['the parent', 1002, 1001],
  ['a child', 1001, 1002],
  ['a child of a second dispatch', 1001, 2001],
])(
  'a completed backup of which %s had another attempt is swept after the grace',
  async (_who, parent, child) => {
    const { job, one, two, prefix } = await twoServices();
    const artifacts = [artifactResult(one.id, prefix), artifactResult(two.id, prefix, child)];
    await end(job, completed(backupResult(prefix, { artifacts })), parent);
    expect(await isDue(job.id, new Date(AT.getTime() + GRACE_MS - 1))).toBe(false);
    expect(await isDue(job.id, new Date(AT.getTime() + GRACE_MS))).toBe(true);
  },
);

test('a child that said so itself that it had another attempt counts too', async () => {
  const { job, one, two, prefix } = await twoServices();
  await recorder.record(attemptOf(one, 1002)(1, STARTED));
  const artifacts = [artifactResult(one.id, prefix), artifactResult(two.id, prefix)];
  await end(job, completed(backupResult(prefix, { artifacts })));
  expect(await isDue(job.id)).toBe(true);
});

test('a partial backup names what failed, also what had seemed to be done', async () => {
  const { job, one, two, prefix, services, other } = await twoServices();
  await end(two, completed(artifactResult(two.id, prefix)));
  const failed = [
    {
      ...{ artifactId: two.id, serviceId: services[1]!.id, serviceName: services[1]!.name },
      failure: failure('BACKUP_VERIFICATION_FAILED', 'not the bytes'),
    },
  ];
  const result = backupResult(prefix, { artifacts: [artifactResult(one.id, prefix)], failed });
  await end(job, { state: 'partial', result });
  const backup = await backupOf(job.id);
  expect(backup).toMatchObject({
    ...{ status: 'partial', sizeBytes: 10, errorCode: 'BACKUP_VERIFICATION_FAILED' },
    errorMessage: `${services[1]!.name}: not the bytes`,
  });
  expect(backup.artifacts.find(({ id }) => id === one.id)).toMatchObject({ status: 'completed' });
  expect(backup.artifacts.find(({ id }) => id === two.id)).toMatchObject({
    ...{ status: 'failed', errorCode: 'BACKUP_VERIFICATION_FAILED' },
  });
  expect(await isLeased(services[1]!.id, other)).toBe(false);
  expect(await isDue(job.id)).toBe(true);
});

test.each([
  ['failed', failure('DESTINATION_UNREACHABLE')],
  ['cancelled', failure('CANCELLED')],
] as const)('a %s backup ends its children and gives its leases back', async (state, why) => {
  const { job, one, two, prefix, services, other } = await twoServices();
  await end(one, completed(artifactResult(one.id, prefix)));
  await end(job, { state, failure: why });
  expect(await backupOf(job.id)).toMatchObject({
    ...{ status: state, errorCode: why.code, manifestSha256: null, completedAt: AT },
    artifacts: [{ status: state }, { status: state }],
  });
  expect(await t.db.jobs.children(job.id)).toMatchObject([
    { state: 'completed' },
    { id: two.id, state, failure: { code: why.code } },
  ]);
  expect(await isLeased(services[0]!.id, other)).toBe(false);
  expect(await isDue(job.id)).toBe(true);
  await end(two, completed(artifactResult(two.id, prefix)), 1002);
  expect((await t.db.jobs.get(two.id))!.state).toBe(state);
});

const skipped = 'skipped' as const;
const verifyResult = (change: Partial<VerifyResult> = {}): VerifyResult => ({
  ...{ kind: 'verify', level: 'quick', valid: true, narrowed: false, verifiedAt: AT.toISOString() },
  ...{ issues: [], services: [], lacking: [], damagedAncestors: [], objects: [] },
  checks: {
    ...{ checksum: 'passed', metadata: 'passed' },
    ...{ contents: skipped, encryption: skipped, compression: skipped },
  },
  ...change,
});
const verify = async (backup: Awaited<ReturnType<typeof backupOf>>, how: Omit<Ended, 'type'>) =>
  end(await store(await planVerify(t, { backup, userId: t.user.id, requestId: 'r' })), how);

test('a verification writes down what it found; one that failed says nothing', async () => {
  const { backup } = await completedBackup();
  await verify(backup, completed(verifyResult({ valid: false })));
  expect(await backupOf(backup.id)).toMatchObject({ verified: false, verifiedAt: AT });
  await verify(backup, { state: 'failed', failure: failure('DESTINATION_UNREACHABLE') });
  expect(await backupOf(backup.id)).toMatchObject({ verified: false });
  await verify(backup, completed(verifyResult()));
  expect(await backupOf(backup.id)).toMatchObject({ verified: true });
});

test('some components that are sound say nothing of the backup; one that is not does', async () => {
  const { backup } = await completedBackup();
  await verify(backup, completed(verifyResult({ level: 'deep', narrowed: true })));
  expect(await backupOf(backup.id)).toMatchObject({ verified: null, verifiedAt: null });
  await verify(backup, completed(verifyResult({ narrowed: true, valid: false })));
  expect(await backupOf(backup.id)).toMatchObject({ verified: false });
  await verify(backup, completed(verifyResult({ narrowed: true })));
  expect(await backupOf(backup.id)).toMatchObject({ verified: false });
});

test('what a close look found no lighter one takes back', async () => {
  const { backup } = await completedBackup();
  const verified = async () => (await backupOf(backup.id)).verified;
  await verify(backup, completed(verifyResult({ level: 'deep', valid: false })));
  await verify(backup, completed(verifyResult({ level: 'quick', valid: false })));
  await verify(backup, completed(verifyResult({ level: 'quick' })));
  await verify(backup, completed(verifyResult({ level: 'test_restore', narrowed: true })));
  expect(await verified()).toBe(false);
  await verify(backup, completed(verifyResult({ level: 'deep' })));
  expect(await verified()).toBe(true);
  await verify(backup, completed(verifyResult({ level: 'quick', valid: false })));
  expect(await verified()).toBe(false);
  await verify(backup, completed(verifyResult({ level: 'quick' })));
  expect(await verified()).toBe(true);
});

test('backups that it builds on are marked when they are damaged, and no others', async () => {
  const full = await completedBackup();
  const other = await completedBackup();
  const later = await completedBackup();
  await t.db.artifacts.refer(later.backup.artifacts[0]!.id, [full.backup.artifacts[0]!.id]);
  const draft = await planVerify(t, {
    ...{ backup: later.backup, userId: t.user.id, requestId: 'r', level: 'deep' },
  });
  expect(JSON.parse(draft.root.plan)).toMatchObject({
    ...{ level: 'deep', serviceIds: null },
    ancestors: [{ backupId: full.backup.id, manifestSha256: 'b'.repeat(64) }],
  });
  const damagedAncestors = [full.backup.id, other.backup.id];
  const found = verifyResult({ level: 'deep', valid: false, damagedAncestors });
  await verify(later.backup, completed(found));
  expect(await backupOf(full.backup.id)).toMatchObject({ verified: false, verifiedAt: AT });
  expect(await backupOf(later.backup.id)).toMatchObject({ verified: false });
  expect(await backupOf(other.backup.id)).toMatchObject({ verified: null });
});

test('a deletion deletes only when it has completed', async () => {
  const { backup } = await completedBackup();
  const remove = async (how: Omit<Ended, 'type'>) =>
    end(
      await store(
        await planDelete(t, {
          backup,
          userId: t.user.id,
          requestId: 'r',
          leave: { by: 'user', force: true },
        }),
      ),
      how,
    );
  await remove({ state: 'failed', failure: failure('DESTINATION_UNREACHABLE') });
  expect(await backupOf(backup.id)).toMatchObject({ status: 'deleting', deletedAt: null });
  await remove(completed({ kind: 'delete', objects: 2, bytes: 3 }));
  expect(await backupOf(backup.id)).toMatchObject({ status: 'deleted', deletedAt: AT });
  expect(await isDue(backup.id)).toBe(false);
});

test.each([
  ['done', completed({ kind: 'sweep', objects: 1, bytes: 1, uploads: 0 }), false],
  ['one whose records and manifest are at odds', { state: 'failed', failure: failure('CONFLICT') }, false],
  [
    'one that could not reach the destination',
    { state: 'failed', failure: failure('DESTINATION_UNREACHABLE') },
    true,
  ],
] as const)('a sweep: %s', async (_name, how, again) => {
  const { job } = await twoServices();
  await end(job, { state: 'failed', failure: failure('WORKER_LOST') });
  const backup = await backupOf(job.id);
  await end(await store(await planSweep(t, { backup, userId: null, requestId: 'r' })), how);
  expect(await isDue(job.id)).toBe(again);
  expect(await isDue(job.id, new Date(AT.getTime() + 1000))).toBe(false);
});

const tested = (change: Partial<ServerTestResult> = {}): ServerTestResult => ({
  ...{ kind: 'server-test', reachable: true, fingerprint: 'SHA256:seen', tools: { tar: 'tar 1.34' } },
  ...{ user: 'root', isRoot: true, latencyMs: 3, failure: null },
  ...change,
});
const testServer = async (hostKeyFingerprint: string | null) => {
  const server = await t.addServer({ hostKeyFingerprint });
  const job = await store(await planServerTest(t, server, { userId: t.user.id, requestId: 'r' }));
  return { job, fingerprint: async () => (await t.db.servers.get(server.id))!.hostKeyFingerprint, server };
};

test('a test pins the key of a server that had none, and of no other', async () => {
  const fresh = await testServer(null);
  await end(fresh.job, completed(tested()));
  expect(await fresh.fingerprint()).toBe('SHA256:seen');
  const pinned = await testServer('SHA256:old');
  await end(pinned.job, completed(tested()));
  expect(await pinned.fingerprint()).toBe('SHA256:old');
  const silentOne = await testServer(null);
  await end(silentOne.job, completed(tested({ reachable: false })));
  expect(await silentOne.fingerprint()).toBe(null);
});

test('a test of the host that a server had before says nothing of its new one', async () => {
  const { server, job, fingerprint } = await testServer(null);
  await t.db.servers.update(server.id, { host: 'elsewhere.example.com' });
  await end(job, completed(tested()));
  expect(await fingerprint()).toBe(null);
  expect((await t.db.servers.get(server.id))!.tools).toBe(null);
});

test('a resealed box takes the place of the one it was made from, and of no other', async () => {
  const after = { v: 1, keyId: 'k2', enc: 'CCCC', ct: 'DDDD' } as const;
  const changed = { v: 1, keyId: 'k1', enc: 'EEEE', ct: 'FFFF' } as const;
  for (const meanwhile of [false, true]) {
    const server = await t.addServer();
    const job = await store(await planReseal(t, server, { userId: t.user.id, requestId: 'r' }));
    if (meanwhile) await t.db.servers.update(server.id, { sealed: changed });
    await end(job, completed({ kind: 'reseal', serverId: server.id, secrets: after }));
    expect((await t.db.servers.get(server.id))!.sealed).toEqual(meanwhile ? changed : after);
  }
});
