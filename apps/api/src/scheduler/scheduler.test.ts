import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createDatabase, type ScheduleDraft, type ScheduleRecord, type ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { Dispatcher } from '../dispatcher.ts';
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
import { createCronTimes } from './cron-times.ts';
import { createLooks } from './scheduler.ts';

let t: RunFixture;
let now: Date;
const at = (text: string): Date => {
  now = new Date(text);
  return now;
};
const clock = async (): Promise<Date> => now;

beforeAll(async () => {
  t = await openRunFixture();
});
const closing: RunFixture['db'][] = [];
afterAll(async () => {
  for (const db of closing) await db.close();
  await t.close();
});

let paths = 0;
const addService = (): Promise<ServiceRecord> => {
  paths += 1;
  return t.addService(t.server.id, { configPaths: [], dataPaths: [`/srv/s${paths}`] });
};

/** A schedule of one service of its own, made now. */
async function schedule(change: Partial<ScheduleDraft> = {}): Promise<ScheduleRecord> {
  const cron = change.cron ?? '0 2 * * *';
  const timeZone = change.timeZone ?? 'UTC';
  const services = change.services ?? [(await addService()).id];
  return t.db.schedules.create({
    ...{
      projectId: t.project.id,
      name: `s ${crypto.randomUUID()}`,
      type: 'full',
      enabled: true,
      cron,
      timeZone,
    },
    ...{
      catchUp: true,
      maxLatenessSeconds: 900,
      components: [],
      services,
      serverId: null,
      destinationId: null,
    },
    ...{
      retentionDays: 7,
      retention: null,
      encrypt: false,
      verify: false,
      compress: true,
      compressionLevel: 6,
    },
    ...{ deduplicate: false, notification: null, activeSince: now },
    nextAt: createCronTimes(cron, timeZone).next(now),
    ...change,
  });
}

const looks = (change: Partial<{ dispatcher: Dispatcher; db: RunFixture['db'] }> = {}) =>
  createLooks({
    ...{ db: t.db, keys: t.keys, dispatcher: t.dispatcherOn(queueThatIsDown()), logger: silent, clock },
    ...change,
  });
const runs = async (id: string) =>
  (await t.db.scheduleRuns.list(id, 1000))
    .reverse()
    .map(({ dueAt, status }) => [dueAt.toISOString().slice(0, 16), status]);

const recorder = () =>
  createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
/** Ends a schedule's running backup as a worker would. */
async function end(id: string, state: 'completed' | 'failed' = 'completed'): Promise<void> {
  const [run] = await t.db.scheduleRuns.list(id, 1);
  const backupId = run!.backupId!;
  const { keyPrefix } = (await t.db.backups.find(backupId))!;
  const artifacts = (await t.db.jobs.children(backupId)).map((child) => artifactResult(child.id, keyPrefix));
  const failure = { code: 'SERVER_UNREACHABLE' as const, message: 'It is gone.', retryable: false };
  const ended =
    state === 'completed' ? { state, result: backupResult(keyPrefix, { artifacts }) } : { state, failure };
  await recorder().record(
    attemptOf({ id: backupId, kind: 'backup' })(1, STARTED, { type: 'ended', ...ended }),
  );
}
const alerts = async (id: string) =>
  (await t.db.scheduleAlerts.open([id]))
    .map(({ kind, dueAt }) => `${kind} ${dueAt.toISOString().slice(0, 16)}`)
    .sort();

test('what is due is begun with everything that belongs to it, and the next time is known', async () => {
  at('2026-05-01T00:00:00Z');
  const { id, name } = await schedule();
  await looks().tickAll();
  expect(await runs(id)).toEqual([]);

  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  const [run] = await t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({ dueAt: now, status: 'in_progress', missed: 0, errorCode: null });
  const backup = (await t.db.backups.get(run!.backupId!))!;
  expect(backup).toMatchObject({
    scheduleId: id,
    name,
    createdBy: null,
    retentionDays: 7,
    status: 'in_progress',
  });
  expect(await t.db.jobs.get(backup.id)).toMatchObject({ kind: 'backup', state: 'queued', userId: null });
  expect(await t.db.jobs.children(backup.id)).toHaveLength(1);
  const serviceId = backup.artifacts[0]!.serviceId;
  expect(await t.db.leases.held([serviceId])).toMatchObject([{ jobId: backup.id, kind: 'backup' }]);
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-02T02:00:00Z'));
  expect(await t.db.auditLog.list({ seenBy: null, targetId: backup.id, limit: 10 })).toMatchObject([
    {
      ...{
        action: 'backup.create',
        via: 'schedule',
        userId: null,
        outcome: 'accepted',
        projectId: t.project.id,
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
  expect(await t.db.leases.held([serviceId])).toEqual([]);
});

test('a backup that fails is a failed run, with its reason, and the schedule goes on', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule();
  at('2026-05-01T02:00:01Z');
  await looks().tickAll();
  await end(id, 'failed');
  at('2026-05-02T02:00:01Z');
  await looks().tickAll();
  const [second, first] = await t.db.scheduleRuns.list(id, 10);
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
  const { job } = await t.storeBackup([service]);
  at('2026-05-01T01:00:00Z');
  await looks().tickAll();
  const [run] = await t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({
    status: 'skipped',
    errorCode: 'BACKUP_IN_PROGRESS',
    backupId: null,
    endedAt: now,
  });
  expect(run!.errorMessage).toContain(job.id);
  // Nothing of the refused backup has stayed.
  expect(
    (await t.db.backups.list({ projectIds: [t.project.id], page: 1, perPage: 100 })).rows.filter(
      ({ scheduleId }) => scheduleId === id,
    ),
  ).toEqual([]);
  expect(await t.db.auditLog.list({ seenBy: null, targetId: id, limit: 10 })).toMatchObject([
    { outcome: 'refused', errorCode: 'BACKUP_IN_PROGRESS', details: { run: 'skipped' } },
  ]);
  await t.db.leases.release(job.id);
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
  const [run] = await t.db.scheduleRuns.list(id, 10);
  expect(run).toMatchObject({ status: 'failed', errorCode: code, backupId: null });
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-02T02:00:00Z'));
  await t.db.schedules.delete(id);
});

test('what may pass in a moment is waited for: a fleet that is starting, a parent that goes', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ encrypt: true });
  at('2026-05-01T02:00:00Z');
  // No worker has said yet which keys it has.
  await looks().tickAll();
  expect(await runs(id)).toEqual([]);
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(now);
  await t.db.schedules.delete(id);
}, 60_000);

test('a fault of ours is a failed run too, and the others go on', async () => {
  at('2026-05-01T00:00:00Z');
  const broken = await schedule();
  const well = await schedule();
  const whole = t.dispatcherOn(queueThatIsDown());
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
  expect(await t.db.scheduleRuns.list(broken.id, 10)).toMatchObject([
    { status: 'failed', errorCode: 'INTERNAL' },
  ]);
  expect(await runs(well.id)).toEqual([['2026-05-01T02:00', 'in_progress']]);
});

test('a missed window is caught up by one run, which tells of the rest', async () => {
  at('2026-05-01T00:00:00Z');
  const { id } = await schedule({ cron: '0 */6 * * *' });
  at('2026-05-03T07:00:00Z');
  await looks().tickAll();
  expect(await t.db.scheduleRuns.list(id, 10)).toMatchObject([
    { dueAt: new Date('2026-05-03T06:00:00Z'), missed: 8, missedSince: new Date('2026-05-01T06:00:00Z') },
  ]);
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-03T12:00:00Z'));
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
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-05-01T00:01:00Z'));
  await t.db.schedules.delete(id);
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
  expect((await t.db.schedules.get(id))!.nextAt).toEqual(new Date('2026-06-01T02:00:00Z'));
  for (const time of ['02:00', '02:30', '03:00', '03:30', '04:00']) {
    at(`2026-06-01T${time}:00Z`);
    await looks().tickAll();
    await looks().watchAll();
  }
  expect((await runs(id)).map(([due]) => due?.slice(11))).toEqual(['01:00', '02:00', '03:00', '04:00']);
  await end(id);
});

test('a paused schedule is not due, and one that is gone takes its runs along and leaves its backups', async () => {
  at('2026-05-01T00:00:00Z');
  const paused = await schedule({ enabled: false, nextAt: null });
  const gone = await schedule();
  at('2026-05-01T02:00:00Z');
  await looks().tickAll();
  expect(await runs(paused.id)).toEqual([]);
  const [run] = await t.db.scheduleRuns.list(gone.id, 1);
  expect(await t.db.schedules.delete(gone.id)).toBe(true);
  expect(await t.db.scheduleRuns.list(gone.id, 1)).toEqual([]);
  const { keyPrefix } = (await t.db.backups.find(run!.backupId!))!;
  const ended = { type: 'ended', state: 'completed', result: backupResult(keyPrefix, {}) } as const;
  await recorder().record(attemptOf({ id: run!.backupId!, kind: 'backup' })(1, STARTED, ended));
  expect(await t.db.backups.find(run!.backupId!)).toMatchObject({ status: 'completed', scheduleId: gone.id });
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
  for (const { id } of await t.db.schedules.enabled()) await t.db.schedules.delete(id);
  const ids = await Promise.all(
    Array.from({ length: 5 }, async () => (await schedule({ cron: '*/10 * * * *' })).id),
  );
  const others = [1, 2, 3].map(() => createDatabase({ url: t.url, logger: silent, poolSize: 5 }));
  closing.push(...others);
  const replicas = [looks(), ...others.map((db) => looks({ db }))];
  for (let minute = 5; minute <= 95; minute += 5) {
    now = new Date(Date.parse('2026-07-01T00:00:00Z') + minute * 60_000);
    await Promise.all(replicas.map((one) => patiently(one.tickAll)));
    for (const id of ids)
      if ((await t.db.scheduleRuns.list(id, 1))[0]?.status === 'in_progress') await end(id);
  }
  const expected = ['00:10', '00:20', '00:30', '00:40', '00:50', '01:00', '01:10', '01:20', '01:30'];
  for (const id of ids) {
    expect((await runs(id)).map(([due, status]) => [due!.slice(11), status])).toEqual(
      expected.map((time) => [time, 'completed']),
    );
    const { rows } = await t.db.backups.list({ projectIds: [t.project.id], page: 1, perPage: 1000 });
    expect(rows.filter(({ scheduleId }) => scheduleId === id)).toHaveLength(expected.length);
  }
  for (const id of ids) await t.db.schedules.delete(id);
}, 120_000);

test('a schedule that was changed while its backup was planned is left as it is now', async () => {
  at('2026-05-01T00:00:00Z');
  const before = await schedule();
  const { id, createdAt: _createdAt, updatedAt: _updatedAt, ...draft } = before;
  const later = new Date('2026-05-01T05:00:00Z');
  at('2026-05-01T02:00:00Z');
  // Between the look and the transaction.
  const db = {
    ...t.db,
    transaction: (async (action) => {
      await t.db.schedules.replace(id, { ...draft, cron: '0 5 * * *', nextAt: later });
      return t.db.transaction(action);
    }) as RunFixture['db']['transaction'],
  };
  await looks({ db }).tickAll();
  expect(await runs(id)).toEqual([]);
  expect((await t.db.schedules.get(id))?.nextAt).toEqual(later);
});

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
