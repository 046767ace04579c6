// What others do to a schedule meanwhile: replicas, and people who pause, change or delete it.
import { expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import { attemptOf, backupResult, STARTED } from '../testing/run-fixture.ts';
import { useScheduleFixture } from '../testing/schedule-fixture.ts';

const here = useScheduleFixture();
const { at, end, looks, recorder, replica, runs, schedule } = here;

test('a paused schedule is not due, and one that is gone takes its runs along and leaves its backups', async () => {
  at('2026-05-01T00:00:00Z');
  const paused = await schedule({ enabled: false, nextAt: null });
  const gone = await schedule();
  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  expect(await runs(paused.id)).toEqual([]);
  const [run] = await here.t.db.scheduleRuns.list(gone.id, 1);
  expect(await here.t.db.schedules.delete(gone.id)).toBe(true);
  expect(await here.t.db.scheduleRuns.list(gone.id, 1)).toEqual([]);
  const { keyPrefix } = (await here.t.db.backups.find(run!.backupId!))!;
  const ended = { type: 'ended', state: 'completed', result: backupResult(keyPrefix, {}) } as const;
  await recorder().record(attemptOf({ id: run!.backupId!, kind: 'backup' })(1, STARTED, ended));
  expect(await here.t.db.backups.find(run!.backupId!)).toMatchObject({
    status: 'completed',
    scheduleId: gone.id,
  });
});

/** A busy machine's database may be away for a moment: then the scheduler looks again, and so does this. */
async function patiently(look: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await look();
      return;
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'UNAVAILABLE') throw error;
    }
  }
}

test('replicas that race on one database give each time one run', async () => {
  at('2026-07-01T00:00:00Z');
  for (const { id } of await here.t.db.schedules.enabled()) await here.t.db.schedules.delete(id);
  const ids = await Promise.all(
    Array.from({ length: 5 }, async () => (await schedule({ cron: '*/10 * * * *' })).id),
  );
  const replicas = [looks(), replica(), replica(), replica()];
  for (let minute = 5; minute <= 95; minute += 5) {
    at(Date.parse('2026-07-01T00:00:00Z') + minute * 60_000);
    await Promise.all(replicas.map((one) => patiently(one.tickAll)));
    for (const id of ids)
      if ((await here.t.db.scheduleRuns.list(id, 1))[0]?.status === 'in_progress') await end(id);
  }
  const expected = ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00', '01:10', '01:20', '01:30'];
  for (const id of ids) {
    expect((await runs(id)).map(([due, status]) => [due!.slice(11), status])).toEqual(
      expected.map((time) => [time, 'completed']),
    );
    const { rows } = await here.t.db.backups.list({
      projectIds: [here.t.project.id],
      page: 1,
      perPage: 1000,
    });
    expect(rows.filter(({ scheduleId }) => scheduleId === id)).toHaveLength(expected.length);
  }
  for (const id of ids) await here.t.db.schedules.delete(id);
}, 120_000);

test('a schedule that was changed while its backup was planned is left as it is now', async () => {
  at('2026-05-01T00:00:00Z');
  const before = await schedule();
  const { id, createdAt: _createdAt, updatedAt: _updatedAt, ...draft } = before;
  const later = new Date('2026-05-01T05:00:00Z');
  at('2026-05-01T02:00:00Z');
  // Between the look and the transaction.
  const db = {
    ...here.t.db,
    transaction: (async (action) => {
      await here.t.db.schedules.replace(id, { ...draft, cron: '0 5 * * *', nextAt: later });
      return here.t.db.transaction(action);
    }) as (typeof here.t)['db']['transaction'],
  };
  await looks({ db }).tickAll();
  expect(await runs(id)).toEqual([]);
  expect((await here.t.db.schedules.get(id))?.nextAt).toEqual(later);
});
