// Backups that should be there and are not are told of.
import { expect, test } from '@jest/globals';
import { useScheduleFixture } from '../testing/schedule-fixture.ts';

const here = useScheduleFixture();
const { alerts, at, end, looks, runs, schedule } = here;

test('the watchdog tells once of a window that came to no backup, until one succeeds', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule();
  at('2026-05-01T02:14:00Z');
  await looks().watchAll();
  expect(await alerts(id)).toEqual([]);
  at('2026-05-01T02:16:00Z');
  await Promise.all([looks().watchAll(), looks().watchAll()]);
  expect(await alerts(id)).toEqual(['late 2026-05-01T02:00']);
  await looks().tickAll();
  await looks().watchAll();
  expect(await alerts(id)).toEqual(['late 2026-05-01T02:00']);
  await end(id, 'failed');
  await looks().watchAll();
  expect(await alerts(id)).toEqual(['late 2026-05-01T02:00', 'no_success 2026-05-01T02:00']);
  at('2026-05-02T02:00:00Z');
  await looks().tickAll();
  await looks().watchAll();
  await end(id, 'failed');
  await looks().watchAll();
  expect(await alerts(id)).toEqual(['late 2026-05-01T02:00', 'no_success 2026-05-01T02:00']);
  at('2026-05-03T02:00:00Z');
  await looks().tickAll();
  await end(id);
  await looks().watchAll();
  expect(await alerts(id)).toEqual([]);
});

test('a backup that hangs past the next time is told of, one that is at work is not', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ cron: '0 * * * *' });
  for (const time of ['01:00', '01:40', '02:00', '02:10']) {
    at(`2026-05-01T${time}:00Z`);
    await looks().tickAll();
    await looks().watchAll();
  }
  expect(await runs(id)).toEqual([
    ['2026-05-01T01:00', 'in_progress'],
    ['2026-05-01T02:00', 'skipped'],
  ]);
  expect(await alerts(id)).toEqual([]);
  at('2026-05-01T02:16:00Z');
  await looks().watchAll();
  expect(await alerts(id)).toEqual(['no_success 2026-05-01T01:00']);
});
