import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createDatabase, type ScheduleDraft, type ScheduleRecord } from '@tarfleet/db';
import { openRunFixture, queueThatIsDown, type RunFixture, silent } from '../testing/run-fixture.ts';
import { readTiming } from './read-timing.ts';
import { createLooks } from './scheduler.ts';
import { planTriggered } from './trigger.ts';

let t: RunFixture;
let now: Date;
const at = (text: string): Date => {
  now = new Date(text);
  return now;
};
beforeAll(async () => {
  t = await openRunFixture();
});
afterAll(() => t.close());

let paths = 0;
async function schedule(every: string | null, change: Partial<ScheduleDraft> = {}): Promise<ScheduleRecord> {
  paths += 1;
  const service = await t.addService(t.server.id, { configPaths: [], dataPaths: [`/srv/i${paths}`] });
  const timing = { cron: null, every, anchorAt: every === null ? null : now, timeZone: 'UTC' };
  return t.db.schedules.create({
    ...{ projectId: t.project.id, name: `i ${paths}`, type: 'full', enabled: true, ...timing },
    ...{ catchUp: true, maxLatenessSeconds: 900, components: [], services: [service.id], serverId: null },
    ...{ destinationId: null, retentionDays: 7, encrypt: false, verify: false, compress: true },
    ...{ compressionLevel: 6, deduplicate: false, notification: null, retention: null, activeSince: now },
    nextAt: readTiming(timing).next(now),
    ...change,
  });
}
const looks = (db = t.db) =>
  createLooks({
    ...{ db, keys: t.keys, dispatcher: t.dispatcherOn(queueThatIsDown()), logger: silent },
    clock: async () => now,
  });
const runs = async (id: string) =>
  (await t.db.scheduleRuns.list(id, 100))
    .reverse()
    .map(({ dueAt, status, missed, triggered }) => [
      dueAt.toISOString().slice(11, 16),
      status,
      missed,
      triggered,
    ]);

test('an interval keeps its distance from its anchor, however late it is looked at, and by many at once', async () => {
  at('2026-05-01T00:07:00Z');
  const { id } = await schedule('minutes:15');
  at('2026-05-01T00:21:59Z');
  await looks().tickAll();
  expect(await runs(id)).toEqual([]);
  const other = createDatabase({ url: t.url, logger: silent });
  try {
    at('2026-05-01T00:25:00Z');
    await Promise.all([looks().tickAll(), looks(other).tickAll(), looks().tickAll(), looks(other).tickAll()]);
  } finally {
    await other.close();
  }
  expect(await runs(id)).toEqual([['00:22', 'in_progress', 0, false]]);
  // Three came while no process ran: the last makes up for them, and is refused while the first backup runs.
  at('2026-05-01T01:10:00Z');
  await looks().tickAll();
  expect((await runs(id)).slice(1)).toEqual([['01:07', 'skipped', 2, false]]);
  expect((await t.db.schedules.get(id))?.nextAt).toEqual(new Date('2026-05-01T01:22:00Z'));
});

test('one that is due by hand alone is never due, and nobody misses a backup of it', async () => {
  at('2026-05-02T00:00:00Z');
  const { id } = await schedule(null);
  at('2027-05-02T00:00:00Z');
  await looks().tickAll();
  await looks().watchAll();
  expect(await runs(id)).toEqual([]);
  expect(await t.db.scheduleAlerts.open([id])).toEqual([]);
});

test('triggered: a run of its own, which leaves the next time as it is, and a second one is refused meanwhile', async () => {
  at('2026-05-03T00:00:00Z');
  const made = await schedule('hours:24');
  at('2026-05-03T05:30:00Z');
  const trigger = async () => {
    const by = { userId: t.user.id, requestId: 'r', now };
    await t.dispatcherOn(queueThatIsDown()).submit(await planTriggered(t, made, by));
  };
  await trigger();
  expect(await runs(made.id)).toEqual([['05:30', 'in_progress', 0, true]]);
  expect((await t.db.schedules.get(made.id))?.nextAt).toEqual(made.nextAt);
  const [run] = await t.db.scheduleRuns.list(made.id, 1);
  expect(await t.db.backups.get(run!.backupId!)).toMatchObject({ scheduleId: made.id, createdBy: t.user.id });
  at('2026-05-03T05:31:00Z');
  await expect(trigger()).rejects.toMatchObject({ code: 'BACKUP_IN_PROGRESS' });
  expect(await runs(made.id)).toHaveLength(1);
  at('2026-05-04T00:00:00Z');
  await looks().tickAll();
  expect((await runs(made.id)).slice(1)).toEqual([['00:00', 'skipped', 0, false]]);
});

test('the table refuses what is due in two ways, or never and yet at some time', async () => {
  at('2026-05-05T00:00:00Z');
  await expect(schedule('hours:1', { cron: '0 2 * * *' })).rejects.toThrow();
  await expect(schedule(null, { nextAt: now })).rejects.toThrow();
  await expect(schedule('hours:1', { anchorAt: null })).rejects.toThrow();
});
