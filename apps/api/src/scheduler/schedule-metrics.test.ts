import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { Registry } from 'prom-client';
import { openRunFixture, type RunFixture, silent } from '../testing/run-fixture.ts';
import { createScheduleMetrics } from './schedule-metrics.ts';

let t: RunFixture;
beforeAll(async () => {
  t = await openRunFixture();
});
afterAll(() => t.close());

test('figures name schedules that are not paused, with what is open against them, each time anew', async () => {
  const nextAt = new Date(Date.now() + 3_600_000);
  const draft = {
    ...{ projectId: t.project.id, type: 'full', cron: '0 2 * * *', timeZone: 'UTC', catchUp: true },
    ...{ maxLatenessSeconds: 900, components: [], services: [], serverId: null, destinationId: null },
    ...{
      retentionDays: 7,
      retention: null,
      encrypt: false,
      verify: false,
      compress: true,
      compressionLevel: 6,
    },
    ...{ deduplicate: false, notification: null, activeSince: new Date() },
  };
  const { id } = await t.db.schedules.create({ ...draft, name: 'on', enabled: true, nextAt });
  const paused = await t.db.schedules.create({ ...draft, name: 'off', enabled: false, nextAt: null });
  const dueAt = new Date('2026-05-01T02:00:00Z');
  await t.db.scheduleRuns.add({
    ...{ id: crypto.randomUUID(), scheduleId: id, dueAt, status: 'completed', backupId: null, missed: 0 },
    ...{ missedSince: null, errorCode: null, errorMessage: null, startedAt: dueAt, endedAt: dueAt },
  });
  await t.db.scheduleAlerts.raise({
    scheduleId: id,
    kind: 'late',
    dueAt: nextAt,
    message: '',
    raisedAt: dueAt,
  });

  const registry = new Registry();
  createScheduleMetrics({ db: t.db, logger: silent }).register(registry);
  const text = await registry.metrics();
  expect(text).toContain(
    `tarfleet_schedule_next_run_timestamp_seconds{schedule="${id}"} ${nextAt.getTime() / 1000}`,
  );
  expect(text).toContain(
    `tarfleet_schedule_last_success_timestamp_seconds{schedule="${id}"} ${dueAt.getTime() / 1000}`,
  );
  expect(text).toContain(`tarfleet_schedule_alerts{schedule="${id}",kind="late"} 1`);
  expect(text).toContain(`tarfleet_schedule_alerts{schedule="${id}",kind="no_success"} 0`);
  expect(text).not.toContain(paused.id);

  await t.db.scheduleAlerts.resolve(id, nextAt, new Date());
  expect(await registry.metrics()).toContain(`tarfleet_schedule_alerts{schedule="${id}",kind="late"} 0`);
  await t.db.schedules.delete(id);
  expect(await registry.metrics()).not.toContain(id);
});
