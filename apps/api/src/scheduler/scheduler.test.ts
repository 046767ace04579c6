// What becomes of a time that is due.
import { expect, test } from '@jest/globals';
import type { Dispatcher } from '../dispatcher.ts';
import { queueThatIsDown } from '../testing/run-fixture.ts';
import { useScheduleFixture } from '../testing/schedule-fixture.ts';

const here = useScheduleFixture();
const { addService, at, end, looks, runs, schedule } = here;

test('what is due is begun with everything that belongs to it, and the next time is known', async () => {
  at('2026-05-01T00:00:00Z');
  const { id, name } = await schedule();
  await looks().tickAll();
  expect(await runs(id)).toEqual([]);

  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  const [run] = await here.t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({ dueAt: here.now, status: 'in_progress', missed: 0, errorCode: null });
  const backup = (await here.t.db.backups.get(run!.backupId!))!;
  expect(backup).toMatchObject({
    scheduleId: id,
    name,
    createdBy: null,
    retentionDays: 7,
    status: 'in_progress',
  });
  expect(await here.t.db.jobs.get(backup.id)).toMatchObject({
    kind: 'backup',
    state: 'queued',
    userId: null,
  });
  expect(await here.t.db.jobs.children(backup.id)).toHaveLength(1);
  const serviceId = backup.artifacts[0]!.serviceId;
  expect(await here.t.db.leases.held([serviceId])).toMatchObject([{ jobId: backup.id, kind: 'backup' }]);
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-02T02:00:00Z'));
  expect(await here.t.db.auditLog.list({ seenBy: null, targetId: backup.id, limit: 10 })).toMatchObject([
    {
      ...{
        action: 'backup.create',
        via: 'schedule',
        userId: null,
        outcome: 'accepted',
        projectId: here.t.project.id,
      },
      details: {
        schedule_id: id,
        schedule_name: name,
        due_at: '2026-05-01T02:00:00.000Z',
        job_id: backup.id,
      },
    },
  ]);

  await end(id);
  expect(await runs(id)).toEqual([['2026-05-01T02:00', 'completed']]);
  expect(await here.t.db.leases.held([serviceId])).toEqual([]);
});

test('a backup that fails is a failed run, with its reason, and the schedule goes on', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule();
  at('2026-05-01T02:00:01Z');
  await looks().tickAll();
  await end(id, 'failed');
  at('2026-05-02T02:00:01Z');
  await looks().tickAll();
  const [second, first] = await here.t.db.scheduleRuns.list(id, 10);
  expect(first).toMatchObject({
    status: 'failed',
    errorCode: 'SERVER_UNREACHABLE',
    errorMessage: 'It is gone.',
  });
  expect(second).toMatchObject({ status: 'in_progress' });
  await end(id);
});

test('services that another job has are refused: a skipped run that says so', async () => {
  at('2026-05-01T00:00:00Z');
  const service = await addService();
  const { id } = await schedule({ services: [service.id], cron: '0 * * * *' });
  const { job } = await here.t.storeBackup([service]);
  at('2026-05-01T01:00:00Z');
  await looks().tickAll();
  const [run] = await here.t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({
    status: 'skipped',
    errorCode: 'BACKUP_IN_PROGRESS',
    backupId: null,
    endedAt: here.now,
  });
  expect(run!.errorMessage).toContain(job.id);
  // Nothing of the refused backup has stayed.
  expect(
    (await here.t.db.backups.list({ projectIds: [here.t.project.id], page: 1, perPage: 100 })).rows.filter(
      ({ scheduleId }) => scheduleId === id,
    ),
  ).toEqual([]);
  expect(await here.t.db.auditLog.list({ seenBy: null, targetId: id, limit: 10 })).toMatchObject([
    { outcome: 'refused', errorCode: 'BACKUP_IN_PROGRESS', details: { run: 'skipped' } },
  ]);
  await here.t.db.leases.release(job.id);
  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  expect((await runs(id)).at(-1)).toEqual(['2026-05-01T02:00', 'in_progress']);
});

test.each([
  ['COMPONENT_NOT_FOUND', { services: [], components: ['gone'] }],
  ['NOT_FOUND', { services: ['gone'] }],
  ['NOT_FOUND', { destinationId: crypto.randomUUID() }],
])('what cannot be planned is a failed run: %s', async (code, change) => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule(change);
  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  const [run] = await here.t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({ status: 'failed', errorCode: code, backupId: null });
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-02T02:00:00Z'));
  await here.t.db.schedules.delete(id);
});

test('what may pass in a moment is waited for: a fleet that is starting, a parent that goes', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ encrypt: true });
  at('2026-05-01T02:00:00Z');
  // No worker has said yet which keys it has.
  await looks().tickAll();
  expect(await runs(id)).toEqual([]);
  expect((await here.t.db.schedules.get(id))!.nextAt).toEqual(here.now);
  await here.t.db.schedules.delete(id);
}, 60_000);

test('a fault of ours is a failed run too, and the others go on', async () => {
  at('2026-05-01T00:00:00Z');
  const broken = await schedule();
  const well = await schedule();
  const whole = here.t.dispatcherOn(queueThatIsDown());
  const dispatcher: Dispatcher = {
    ...whole,
    async store(tx, draft) {
      await whole.store(tx, draft);
      if (draft.root.requestId && (await tx.backups.find(draft.root.id))?.scheduleId === broken.id)
        throw new TypeError('x');
    },
  };
  at('2026-05-01T02:00:00Z');
  await looks({ dispatcher }).tickAll();
  expect(await here.t.db.scheduleRuns.list(broken.id, 10)).toMatchObject([
    { status: 'failed', errorCode: 'INTERNAL' },
  ]);
  expect(await runs(well.id)).toEqual([['2026-05-01T02:00', 'in_progress']]);
});
