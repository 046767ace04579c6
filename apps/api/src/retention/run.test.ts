import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { BackupChange, Database, FullBackup, ServiceRecord } from '@tarfleet/db';
import { planVerify } from '../planner/verify.ts';
import type { ReconcilerOptions } from '../recorder/reconciler-options.ts';
import { resumeDeletions } from '../recorder/sweeps.ts';
import { localStorage, type TestDestination } from '../testing/destinations.ts';
import { openRunFixture, queueThatIsDown, type RunFixture, silent } from '../testing/run-fixture.ts';
import { createStoredWorld, type StoredWorld } from '../testing/stored-world.ts';
import { createRetentionRun } from './run.ts';

let t: RunFixture;
let place: TestDestination;
let world: StoredWorld;
let service: ServiceRecord;
let options: ReconcilerOptions;
beforeAll(async () => {
  [t, place] = [await openRunFixture(), await localStorage()];
  world = createStoredWorld(t, place.storage, () => 0);
  service = await t.addService(t.server.id);
  const queue = queueThatIsDown();
  options = {
    ...{ db: t.db, queue, dispatcher: t.dispatcherOn(queue), keys: t.keys, logger: silent },
    ...{
      sweepGraceMs: 0,
      everyMs: 1,
      patienceMs: 1,
      testWaitsMs: 1,
      retentionEveryMs: 1,
      surveyEveryMs: 0,
      onEnded: () => undefined,
    },
  };
});
afterAll(async () => {
  await t.close();
  await place.close();
});

const OVER = { retentionUntil: new Date('2026-01-01T00:00:00Z') };
const read = async (id: string) => (await t.db.backups.get(id)) as FullBackup;
const statusOf = async (id: string) => (await read(id)).status;
async function backUp(type: 'full' | 'incremental', change: BackupChange = OVER): Promise<string> {
  const { job } = await world.plan([service], type);
  await world.carryOut(job, 0);
  await t.db.backups.change(job.id, change);
  return job.id;
}
async function run(change: Partial<ReconcilerOptions> = {}, everyMs = 1): Promise<void> {
  const enforce = createRetentionRun(everyMs);
  await sleep(5);
  await enforce({ ...options, ...change });
}
const rowsOf = (id: string) => t.db.auditLog.list({ seenBy: null, targetId: id, limit: 10 });
const jobOf = async (id: string) => (await t.db.jobs.unfinishedOf(id))[0];

test('what is over goes, what others need is hidden, the newest stays; each has its row in the audit log', async () => {
  const [plain, needed, newest] = [await backUp('full'), await backUp('full'), await backUp('incremental')];
  await run({}, 0);
  expect(await statusOf(plain)).toBe('completed');
  await run();
  expect(await Promise.all([plain, needed, newest].map(statusOf))).toEqual([
    'deleting',
    'hidden',
    'completed',
  ]);
  const job = await jobOf(plain);
  expect(await rowsOf(plain)).toEqual([
    expect.objectContaining({
      ...{ action: 'retention.delete', via: 'system', userId: null, outcome: 'accepted' },
      ...{ targetType: 'backup', projectId: t.project.id, requestId: `retention-${plain}` },
      details: expect.objectContaining({
        job_id: job?.id,
        retention_until: OVER.retentionUntil.toISOString(),
      }),
    }),
  ]);
  expect(await rowsOf(needed)).toEqual([
    expect.objectContaining({ action: 'retention.hide', outcome: 'succeeded' }),
  ]);
  await run();
  expect(await t.db.jobs.unfinishedOf(plain)).toHaveLength(1);

  // A deletion that fails is begun again, once its pause is over.
  await world.failDelete(job as NonNullable<typeof job>, 'STORAGE_FAILED');
  await t.db.jobs.change(job?.id ?? '', { endedAt: new Date() });
  await resumeDeletions(options);
  expect(await jobOf(plain)).toBeUndefined();
  await t.db.jobs.change(job?.id ?? '', { endedAt: new Date(Date.now() - 61_000) });
  await resumeDeletions(options);
  const second = await jobOf(plain);
  await world.workOnDelete(second as NonNullable<typeof second>);
  expect(await statusOf(plain)).toBe('deleted');
  expect((await rowsOf(plain)).map(({ action }) => action)).toEqual([
    ...['retention.delete_resume', 'retention.delete'],
  ]);
  expect(await world.faultsOf(await read(newest))).toEqual([]);
});

test('what a job uses stays until that has ended', async () => {
  const [used] = [await backUp('full'), await backUp('full')];
  const wish = { userId: null, requestId: 'r', level: 'deep' as const };
  const draft = await planVerify(t, { backup: await read(used), ...wish });
  await options.dispatcher.submit(draft);
  await run();
  expect(await statusOf(used)).toBe('completed');
  await world.endLook(draft.root);
  await run();
  expect(await statusOf(used)).toBe('deleting');
});

test.each([
  ['locked', { lockedAt: new Date(), lockedBy: 'a', lockReason: 'x' }],
  ['kept by a new policy', null],
])('what is %s between the look and the deletion stays', async (_what, lock) => {
  const [id] = [await backUp('full'), await backUp('full')];
  // Right after the run has seen its series, and before it takes up what it found.
  let met = false;
  const db: Database = {
    ...t.db,
    backups: {
      ...t.db.backups,
      async get(wanted) {
        const found = await t.db.backups.get(wanted);
        if (wanted === id && !met) {
          met = true;
          if (lock) await t.db.backups.change(id, lock);
          else await t.db.retention.setProjectPolicy(t.project.id, { keep_last: 100 });
        }
        return found;
      },
    },
  };
  await run({ db });
  expect([met, await statusOf(id), await rowsOf(id)]).toEqual([true, 'completed', []]);
  await t.db.retention.setProjectPolicy(t.project.id, null);
});

test('two runs at once let no more go than one', async () => {
  const made = [];
  for (let index = 0; index < 4; index += 1) made.push(await backUp('full'));
  await Promise.all([run(), run(), run()]);
  expect(await Promise.all(made.map(statusOf))).toEqual(['deleting', 'deleting', 'deleting', 'completed']);
  for (const id of made.slice(0, 3)) expect(await t.db.jobs.unfinishedOf(id)).toHaveLength(1);
});
