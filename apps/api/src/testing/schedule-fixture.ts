/** Schedules on a real database, under a clock that the test sets. */
import { afterAll, beforeAll } from '@jest/globals';
import { createDatabase, type ScheduleDraft, type ScheduleRecord, type ServiceRecord } from '@tarfleet/db';
import type { Dispatcher } from '../dispatcher.ts';
import { createRecorder } from '../recorder/record.ts';
import { createCronTimes } from '../scheduler/cron-times.ts';
import { createLooks } from '../scheduler/scheduler.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from './run-fixture.ts';

type Looks = ReturnType<typeof createLooks>;

/** For the tests of one file: opened before them and closed behind them. */
export function useScheduleFixture() {
  let t: RunFixture;
  let now = new Date(0);
  let paths = 0;
  const replicas: RunFixture['db'][] = [];
  beforeAll(async () => {
    t = await openRunFixture();
  });
  afterAll(async () => {
    for (const db of replicas) await db.close();
    await t.close();
  });

  const addService = (): Promise<ServiceRecord> => {
    paths += 1;
    return t.addService(t.server.id, { configPaths: [], dataPaths: [`/srv/s${paths}`] });
  };
  const looks = (change: Partial<{ dispatcher: Dispatcher; db: RunFixture['db'] }> = {}): Looks =>
    createLooks({
      ...{ db: t.db, keys: t.keys, dispatcher: t.dispatcherOn(queueThatIsDown()), logger: silent },
      ...{ clock: async () => now, ...change },
    });
  const recorder = () =>
    createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });

  return {
    ...{ addService, looks, recorder },
    get t(): RunFixture {
      return t;
    },
    get now(): Date {
      return now;
    },
    /** Sets the clock. */
    at(text: string | number): Date {
      now = new Date(text);
      return now;
    },
    /** Another process on the same database. */
    replica(): Looks {
      const db = createDatabase({ url: t.url, logger: silent, poolSize: 5 });
      replicas.push(db);
      return looks({ db });
    },
    /** A schedule of one service of its own, made now. */
    async schedule(change: Partial<ScheduleDraft> = {}): Promise<ScheduleRecord> {
      const cron = change.cron ?? '0 2 * * *';
      const timeZone = change.timeZone ?? 'UTC';
      const services = change.services ?? [(await addService()).id];
      return t.db.schedules.create({
        ...{ projectId: t.project.id, name: `s ${crypto.randomUUID()}`, type: 'full', enabled: true },
        ...{ cron, timeZone, catchUp: true, maxLatenessSeconds: 900, components: [], services },
        ...{ serverId: null, destinationId: null, retentionDays: 7, retention: null, encrypt: false },
        ...{ verify: false, compress: true, compressionLevel: 6, deduplicate: false, notification: null },
        ...{ activeSince: now, nextAt: createCronTimes(cron, timeZone).next(now), ...change },
      });
    },
    /** Minute and status of each run of a schedule, in order. */
    runs: async (id: string) =>
      (await t.db.scheduleRuns.list(id, 1000))
        .reverse()
        .map(({ dueAt, status }) => [dueAt.toISOString().slice(0, 16), status]),
    /** Ends a schedule's running backup as a worker would. */
    async end(id: string, state: 'completed' | 'failed' = 'completed'): Promise<void> {
      const [run] = await t.db.scheduleRuns.list(id, 1);
      const backup = run?.backupId ? await t.db.backups.find(run.backupId) : null;
      if (!backup) throw new Error(`Schedule ${id} has no backup.`);
      const { id: backupId, keyPrefix } = backup;
      const artifacts = (await t.db.jobs.children(backupId)).map((child) =>
        artifactResult(child.id, keyPrefix),
      );
      const failure = { code: 'SERVER_UNREACHABLE' as const, message: 'It is gone.', retryable: false };
      const ended =
        state === 'completed'
          ? { state, result: backupResult(keyPrefix, { artifacts }) }
          : { state, failure };
      await recorder().record(
        attemptOf({ id: backupId, kind: 'backup' })(1, STARTED, { type: 'ended', ...ended }),
      );
    },
    alerts: async (id: string) =>
      (await t.db.scheduleAlerts.open([id]))
        .map(({ kind, dueAt }) => `${kind} ${dueAt.toISOString().slice(0, 16)}`)
        .sort(),
  };
}
