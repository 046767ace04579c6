// Times that passed unnoticed, and clocks that are put back.
import { expect, test } from '@jest/globals';
import { useScheduleFixture } from '../testing/schedule-fixture.ts';

const here = useScheduleFixture();
const { alerts, at, end, looks, runs, schedule } = here;

test('a missed window is caught up by one run, which tells of the rest', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ cron: '0 */6 * * *' });
  at('2026-05-03T07:00:00Z');
  await looks().tickAll();
  expect(await here.t.db.scheduleRuns.list(id, 10)).toMatchObject([
    { dueAt: new Date('2026-05-03T06:00:00Z'), missed: 8, missedSince: new Date('2026-05-01T06:00:00Z') },
  ]);
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-03T12:00:00Z'));
  expect(await alerts(id)).toEqual(['late 2026-05-01T06:00']);
  await end(id);
  expect(await alerts(id)).toEqual([]);
});

test('very many missed times are one run as well', async () => {
  at('2025-05-01T00:00:00Z');
  const { id } = await schedule({ cron: '* * * * *' });
  at('2026-05-01T00:00:30Z');
  await looks().tickAll();
  expect(await runs(id)).toEqual([['2026-05-01T00:00', 'in_progress']]);
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-01T00:01:00Z'));
  await here.t.db.schedules.delete(id);
});

test('without catching up a window that is too old is recorded as missed, one that is not is run', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ catchUp: false, maxLatenessSeconds: 600 });
  at('2026-05-02T02:10:01Z');
  await looks().tickAll();
  at('2026-05-05T02:10:00Z');
  await looks().tickAll();
  expect(await runs(id)).toEqual([
    ['2026-05-02T02:00', 'missed'],
    ['2026-05-05T02:00', 'in_progress'],
  ]);
  await end(id);
});

test('a clock that is put back doubles nothing, and the schedule does not sleep until it has come round', async () => {
  at('2026-06-01T00:00:00Z');
  const { id } = await schedule({ cron: '0 * * * *' });
  for (const hour of ['01', '02', '03']) {
    at(`2026-06-01T${hour}:00:00Z`);
    await looks().tickAll();
    await end(id);
  }
  at('2026-06-01T01:30:00Z');
  await looks().watchAll();
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-06-01T02:00:00Z'));
  for (const time of ['02:00', '02:30', '03:00', '03:30', '04:00']) {
    at(`2026-06-01T${time}:00Z`);
    await looks().tickAll();
    await looks().watchAll();
  }
  expect((await runs(id)).map(([due]) => due?.slice(11))).toEqual(['01:00', '02:00', '03:00', '04:00']);
  await end(id);
});
