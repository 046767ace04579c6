// The most dangerous code there is, against all that may happen to it, on a real database and real destinations.
// SEED repeats the choices of a run; what is done at once still ends in any order. STEPS makes it longer.
import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, jest, test } from '@jest/globals';
import type { RetentionPolicy } from '@tarfleet/contracts';
import type { BackupStatus, FullBackup, JobRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { hideIfNeeded, planDelete } from '../planner/on-backup.ts';
import { planVerify } from '../planner/verify.ts';
import type { ReconcilerOptions } from '../recorder/reconciler-options.ts';
import { deleteHidden, resumeDeletions } from '../recorder/sweeps.ts';
import { localStorage, s3Storage } from '../testing/destinations.ts';
import { mulberry } from '../testing/random.ts';
import { openRunFixture, queueThatIsDown, type RunFixture, silent } from '../testing/run-fixture.ts';
import { createStoredWorld, type StoredWorld } from '../testing/stored-world.ts';
import { createRetentionRun } from './run.ts';

jest.setTimeout(600_000);
const DAY_MS = 24 * 3600 * 1000;
const STATUSES: BackupStatus[] = [
  ...(['in_progress', 'completed', 'partial', 'failed', 'cancelled'] as const),
  ...(['deleting', 'hidden', 'deleted'] as const),
];
const STEPS = Number(process.env.STEPS ?? 60);

test.each([
  ['local, with people who delete', localStorage, true],
  ['local, retention alone', localStorage, false],
  ['S3, with people who delete', s3Storage, true],
])(
  '%s: whatever happens, each backup that is there is whole, and each deletion ends',
  async (_name, open, people) => {
    const seed = Number(process.env.SEED ?? randomBytes(4).readUInt32LE());
    process.stdout.write(`retention property: SEED=${seed} people=${people}\n`);
    const random = mulberry(seed);
    const { storage, close } = await open();
    const t = await openRunFixture();
    try {
      await play(t, createStoredWorld(t, storage, random), random, people, seed);
    } finally {
      await t.close();
      await close();
    }
  },
);

async function play(t: RunFixture, world: StoredWorld, random: () => number, people: boolean, seed: number) {
  const pick = <T>(items: readonly T[]): T | undefined => items[Math.floor(random() * items.length)];
  const services: ServiceRecord[] = [];
  for (const dataPaths of [['/srv/a'], ['/srv/b']]) {
    services.push(await t.addService(t.server.id, { configPaths: [], dataPaths }));
  }
  const schedules = await Promise.all(['first', 'second'].map((name) => addSchedule(t, name)));
  const options: ReconcilerOptions = {
    ...{ db: t.db, queue: queueThatIsDown(), dispatcher: t.dispatcherOn(queueThatIsDown()), keys: t.keys },
    ...{ logger: silent, sweepGraceMs: 0, everyMs: 1, patienceMs: 1, retentionEveryMs: 1, surveyEveryMs: 0 },
    testWaitsMs: 1,
    onEnded: () => undefined,
  };
  const history: string[] = [];
  const all = async (): Promise<FullBackup[]> =>
    (
      await t.db.backups.list({
        ...{ projectIds: null, page: 1, perPage: 10_000 },
        statuses: STATUSES,
      })
    ).rows;
  const living = async () =>
    (await all()).filter(({ status }) => status === 'completed' || status === 'partial');
  const jobs = async (kind: JobRecord['kind']): Promise<JobRecord[]> =>
    (await Promise.all((await all()).map((one) => t.db.jobs.unfinishedOf(one.id))))
      .flat()
      .filter((job) => job.kind === kind);

  /** A process that dies inside a transaction undoes it; what it had committed before stays. */
  const submit = async (draft: Awaited<ReturnType<typeof planDelete>>): Promise<void> => {
    const dies = random() < 0.15;
    await options.dispatcher.submit({
      ...draft,
      async record(tx) {
        await draft.record(tx);
        if (dies) throw new AppError('CONFLICT', 'The process died.');
      },
    });
  };
  const wish = { userId: t.user.id, requestId: 'r' };
  const erase = async (backup: FullBackup, force: boolean): Promise<void> => {
    const leave = { by: 'user', force } as const;
    if (await hideIfNeeded(t.db, backup, leave)) return;
    if (random() < 0.1) return;
    await submit(await planDelete(t, { backup, leave, ...wish }));
  };
  const policy = (): RetentionPolicy | null => {
    if (random() < 0.2) return null;
    const most = (): number => 1 + Math.floor(random() * 3);
    return (
      pick([
        { keep_last: most() },
        { keep_daily: most(), keep_weekly: 1 },
        { days: most() * 3 },
        { keep_monthly: 1, days: 2 },
      ]) ?? null
    );
  };

  const actions: Record<string, () => Promise<void>> = {
    async backUp() {
      const chosen = random() < 0.6 ? services : [services[0] as ServiceRecord];
      const type =
        pick(['full', 'incremental', 'incremental', 'incremental', 'differential'] as const) ?? 'full';
      const { job } = await world.plan(chosen, type, pick([null, ...schedules])?.id);
      await world.carryOut(job, random() < 0.2 ? 0.5 : 0);
    },
    async planBackUp() {
      await world.plan(services, 'incremental');
    },
    async carryOut() {
      for (const job of await jobs('backup')) await world.carryOut(job, 0.1);
    },
    async age() {
      const one = pick(await living());
      if (!one) return;
      const back = Math.floor(random() * 20);
      await t.db.backups.change(one.id, {
        createdAt: new Date(one.createdAt.getTime() - back * DAY_MS),
        retentionUntil: random() < 0.3 ? null : new Date(Date.now() - DAY_MS),
      });
    },
    async damage() {
      const one = pick(await living());
      if (one) await t.db.backups.change(one.id, { verified: random() < 0.7, verifiedAt: new Date() });
    },
    async look() {
      const backup = pick(await living());
      if (backup) await submit(await planVerify(t, { backup, ...wish, level: 'deep' }));
    },
    async endLook() {
      for (const job of await jobs('verify')) if (random() < 0.6) await world.endLook(job);
    },
    async lock() {
      const one = pick(await living());
      if (one) {
        const lock = { lockedAt: new Date(), lockedBy: 'a', lockReason: 'x', lockUntil: null };
        await t.db.transaction(async (tx) => {
          const now = await tx.backups.lock(one.id);
          if (now?.status === 'completed' || now?.status === 'partial') await tx.backups.change(one.id, lock);
        });
      }
    },
    async unlock() {
      const one = pick((await living()).filter(({ lockedAt }) => lockedAt !== null));
      if (one) await t.db.backups.change(one.id, { lockedAt: null, lockedBy: null, lockReason: null });
    },
    async projectPolicy() {
      await t.db.retention.setProjectPolicy(t.project.id, policy());
    },
    async destinationPolicy() {
      await t.db.destinations.update(t.destination.id, { retention: policy() });
    },
    async schedulePolicy() {
      const one = pick(schedules);
      if (!one) return;
      const { id: _id, createdAt: _at, updatedAt: _then, ...draft } = one;
      await t.db.transaction(async (tx) => {
        await tx.retention.hold(t.project.id, null);
        await tx.schedules.replace(one.id, { ...draft, retention: policy() });
      });
    },
    async retention() {
      const run = createRetentionRun(1);
      await sleep(5);
      await run(options);
    },
    deleteHidden: () => deleteHidden(options),
    resume: () => resumeDeletions(options),
    async work() {
      for (const job of await jobs('delete')) {
        const how = random();
        if (how < 0.1) await world.failDelete(job, 'STORAGE_FAILED');
        else if (how < 0.15) await world.failDelete(job, 'CANCELLED');
        else if (how < 0.4) await world.workOnDelete(job, { most: Math.floor(random() * 5) });
        else await world.workOnDelete(job, { tells: random() < 0.8 });
      }
    },
    ...(people && {
      async erase() {
        const one = pick(await living());
        if (one) await erase(one, random() < 0.6);
      },
    }),
  };
  const names = Object.keys(actions);

  let alone = !people;
  const check = async (): Promise<void> => {
    const faults: string[] = [];
    for (const backup of await all()) {
      const kept = ['completed', 'partial', 'hidden'].includes(backup.status);
      if (kept) faults.push(...(await world.faultsOf(backup)));
      if (!kept && backup.lockedAt !== null) faults.push(`${backup.id}: locked and ${backup.status}`);
    }
    if (alone) faults.push(...lostSeries(await all()));
    expect({ seed, history: faults.length > 0 ? history : [], faults }).toEqual({
      seed,
      history: [],
      faults: [],
    });
  };

  for (let step = 0; step < STEPS; step += 1) {
    const together = random() < 0.4 ? 2 + Math.floor(random() * 3) : 1;
    const chosen = Array.from({ length: together }, () =>
      random() < 0.25 ? 'backUp' : (pick(names) ?? 'backUp'),
    );
    history.push(chosen.join(' + '));
    const ends = await Promise.allSettled(chosen.map((name) => actions[name]?.()));
    for (const end of ends) {
      if (end.status === 'rejected' && !(end.reason instanceof AppError && end.reason.code !== 'INTERNAL'))
        throw end.reason;
    }
    await check();
  }

  // Then everything is let go, by people, and comes to its end.
  alone = false;
  for (const job of await jobs('backup')) await world.carryOut(job, 0);
  for (const job of await jobs('verify')) await world.endLook(job);
  const ofAny = async () => (await all()).filter(({ status }) => status !== 'deleted' && status !== 'failed');
  for (let round = 0; (await ofAny()).length > 0; round += 1) {
    if (round > 100) throw new Error(`SEED=${seed}: deletions that do not end`);
    for (const one of await living()) {
      await t.db.backups.change(one.id, { lockedAt: null, lockedBy: null, lockReason: null });
      const [uses] = await t.db.retention.usesOf([one.id]);
      const needed = (uses?.neededBy.length ?? 0) > 0 && uses?.jobs.length === 0;
      await erase(one, true).catch((error: unknown) => {
        if (!(error instanceof AppError)) throw error;
      });
      // Who deletes what others need is not told to wait: it is hidden, and goes with the last of them.
      if (needed) expect([seed, (await t.db.backups.get(one.id))?.status]).toEqual([seed, 'hidden']);
    }
    await deleteHidden(options);
    await resumeDeletions(options);
    for (const job of await jobs('delete')) {
      await world.workOnDelete(job, { most: random() < 0.5 ? 2 : Infinity });
      await check();
    }
  }
  const rows = await t.db.auditLog.list({ seenBy: null, action: 'retention.', limit: 10_000 });
  const counts: Record<string, number> = {};
  for (const { action } of rows) counts[action] = (counts[action] ?? 0) + 1;
  process.stdout.write(`${JSON.stringify({ backups: (await all()).length, ...counts })}\n`);
  for (const { keyPrefix, status } of await all()) {
    if (status === 'deleted') expect(await world.objectsBelow(keyPrefix)).toEqual([]);
  }
}

function addSchedule({ db, project }: RunFixture, name: string) {
  return db.schedules.create({
    ...{ projectId: project.id, name, type: 'full', enabled: false, cron: '0 0 * * *', timeZone: 'UTC' },
    ...{ catchUp: true, maxLatenessSeconds: 900, components: [], services: [], serverId: null },
    ...{ destinationId: null, retentionDays: null, retention: null, encrypt: false, verify: false },
    ...{ compress: true, compressionLevel: 6, deduplicate: false, notification: null, nextAt: null },
    activeSince: new Date(),
  });
}

/** Series that once had a completed backup and have none now. */
function lostSeries(all: FullBackup[]): string[] {
  const had = new Set(all.filter(({ outcome }) => outcome === 'completed').map(({ series }) => series));
  for (const { series, status } of all) if (status === 'completed') had.delete(series);
  return [...had].map((series) => `series ${series} has no completed backup any more`);
}
