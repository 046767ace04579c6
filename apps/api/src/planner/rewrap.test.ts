import { afterAll, beforeAll, beforeEach, expect, test } from '@jest/globals';
import type { EndState, Failure, Heartbeat, RewrapResult } from '@tarfleet/contracts';
import type { FullBackup, JobDraft } from '@tarfleet/db';
import type { RunDraft } from '../dispatcher.ts';
import { createRecorder } from '../recorder/record.ts';
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
import { hideIfNeeded, planDelete, planSweep } from './on-backup.ts';
import { planRestore } from './restore.ts';
import { planRewrap } from './rewrap.ts';
import { planVerify } from './verify.ts';

const FORCED = { by: 'user', force: true } as const;
let t: RunFixture;
beforeAll(async () => {
  t = await openRunFixture();
});
afterAll(() => t.close());
beforeEach(() => keys('w1', ['old', 'new'], 'old'));

async function keys(
  workerId: string,
  names: string[],
  primary: string | null,
  change: Partial<Heartbeat> = {},
) {
  const now = new Date().toISOString();
  await t.db.workers.record({
    ...{ v: 1, type: 'heartbeat', workerId, host: 'h', pid: 1, pool: 'default', version: '1' },
    ...{ startedAt: now, at: now, stopping: false, jobs: [] },
    keyring: { keys: names, primary },
    ...change,
  });
}

const origin = () => ({ userId: t.user.id, requestId: 'r' });
const rewrap = (backup: FullBackup, keyName: string | null = 'new') =>
  planRewrap(t, { backup, ...origin(), keyName });
const submit = async (draft: RunDraft): Promise<JobDraft> => {
  await t.dispatcherOn(queueThatIsDown()).submit(draft);
  return draft.root;
};
const start = async (backup: FullBackup, keyName?: string) => submit((await rewrap(backup, keyName)).draft);
const again = async ({ id }: { id: string }) => (await t.db.backups.get(id))!;
const recorder = () =>
  createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
const end = (job: JobDraft, state: EndState, how: { result?: RewrapResult; failure?: Failure }) =>
  recorder().record(attemptOf(job)(1, STARTED, { type: 'ended', state, ...how }));
const wrapped = (job: JobDraft) =>
  end(job, 'completed', { result: { kind: 'rewrap', archives: 1, changed: 1, keyName: 'new' } });

async function backedUp({ encrypt = true, ended = true } = {}): Promise<FullBackup> {
  const { job, children } = await t.storeBackup([await t.addService(t.server.id)], { encrypt });
  const { keyPrefix } = await again(job);
  const artifacts = children.map(({ id }) => artifactResult(id, keyPrefix));
  const result = backupResult(keyPrefix, { artifacts });
  if (ended)
    await recorder().record(attemptOf(job)(1, STARTED, { type: 'ended', state: 'completed', result }));
  return again(job);
}

test('until the change has ended well the backup counts as wrapped with both keys', async () => {
  const backup = await backedUp();
  expect(backup.encryptionKeys).toEqual(['old']);
  const { keyName, draft } = await rewrap(backup);
  expect(keyName).toBe('new');
  expect(JSON.parse(draft.root.plan)).toMatchObject({
    ...{ kind: 'rewrap', backupId: backup.id, keyPrefix: backup.keyPrefix, to: 'new' },
    manifestSha256: backup.manifestSha256,
  });
  const job = await submit(draft);
  expect((await again(backup)).encryptionKeys).toEqual(['old', 'new']);
  await wrapped(job);
  expect((await again(backup)).encryptionKeys).toEqual(['new']);
});

test('a change that failed or was cancelled leaves both keys, and either lets a restore begin', async () => {
  const failure: Failure = { code: 'CANCELLED', message: 'no', retryable: false };
  for (const state of ['failed', 'cancelled'] as const) {
    const backup = await backedUp();
    await end(await start(backup), state, { failure });
    const now = await again(backup);
    expect(now.encryptionKeys).toEqual(['old', 'new']);
    const restore = () =>
      planRestore(t, {
        ...{ backup: now, ...origin(), services: null, paths: null, restorePath: null },
        ...{ overwrite: true, verifyIntegrity: true, mayUseLocal: true },
        ...{ target: null, rollback: true, keepHours: 24, healthChecks: true, dropExisting: false },
      });
    for (const one of ['old', 'new']) {
      await keys('w1', [one], one);
      await expect(restore()).resolves.toBeDefined();
    }
    await keys('w1', ['other'], 'other');
    await expect(restore()).rejects.toMatchObject({ code: 'ENCRYPTION_KEY_NOT_FOUND' });
    await keys('w1', ['old', 'new'], 'old');
    await wrapped(await start(now));
    expect((await again(backup)).encryptionKeys).toEqual(['new']);
  }
});

test('without a name it is the primary key; one that a living worker lacks is refused', async () => {
  const backup = await backedUp();
  expect((await rewrap(backup, null)).keyName).toBe('old');
  await keys('w1', ['old', 'new'], 'new');
  expect((await rewrap(backup, null)).keyName).toBe('new');
  const missing = { code: 'ENCRYPTION_KEY_NOT_FOUND', details: { keys: ['other'] } };
  await expect(rewrap(backup, 'other')).rejects.toMatchObject(missing);
  await keys('w2', ['old'], 'old');
  await expect(rewrap(backup, 'new')).rejects.toMatchObject({ code: 'ENCRYPTION_KEY_NOT_FOUND' });
  await keys('w2', ['old'], 'old', { stopping: true });
  await expect(rewrap(backup, 'new')).resolves.toBeDefined();
});

test('what has no keys, or nothing to restore, is refused', async () => {
  await expect(rewrap(await backedUp({ encrypt: false }))).rejects.toMatchObject({ code: 'CONFLICT' });
  await expect(rewrap(await backedUp({ ended: false }))).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
  for (const status of ['failed', 'deleting', 'deleted'] as const) {
    const backup = await backedUp();
    const { draft } = await rewrap(backup);
    await t.db.backups.change(backup.id, { status });
    await expect(rewrap(await again(backup))).rejects.toMatchObject({ code: 'BACKUP_INCOMPLETE' });
    // Planned before, stored after.
    await expect(submit(draft)).rejects.toMatchObject({ code: expect.stringMatching(/^BACKUP_/) });
  }
});

test('two changes of keys, or one and a sweep or deletion, never run side by side', async () => {
  const backup = await backedUp();
  const job = await start(backup);
  const busy = { code: 'CONFLICT', details: { job_id: job.id } };
  await expect(start(backup)).rejects.toMatchObject(busy);
  await expect(submit(await planDelete(t, { backup, ...origin(), leave: FORCED }))).rejects.toMatchObject({
    code: 'BACKUP_IN_PROGRESS',
  });
  await expect(hideIfNeeded(t.db, backup, FORCED)).rejects.toMatchObject({ code: 'BACKUP_IN_PROGRESS' });
  await expect(submit(await planSweep(t, { backup, ...origin() }))).rejects.toMatchObject({
    code: 'CONFLICT',
  });
  expect((await again(backup)).status).toBe('completed');
  await wrapped(job);

  const sweep = await submit(await planSweep(t, { backup, ...origin() }));
  await expect(start(backup)).rejects.toMatchObject({ code: 'CONFLICT', details: { job_id: sweep.id } });
  expect((await again(backup)).encryptionKeys).toEqual(['new']);
});

test('a verification may run beside it, whichever is first', async () => {
  const backup = await backedUp();
  await submit(await planVerify(t, { backup, ...origin() }));
  await start(backup);
  await submit(await planVerify(t, { backup, ...origin() }));
});

test('a hidden backup is wrapped anew too', async () => {
  const backup = await backedUp();
  await t.db.backups.change(backup.id, { status: 'hidden' });
  await wrapped(await start(await again(backup)));
  expect(await again(backup)).toMatchObject({ status: 'hidden', encryptionKeys: ['new'] });
});
