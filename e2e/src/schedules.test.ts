// 200 days of schedules on two API replicas and three workers under a clock of the test's own: every change of clocks
// in three zones, replicas killed at random, the clock put back, all replicas away. SCHEDULES_SEED repeats a run.
import { chmod, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, expect, test } from '@jest/globals';
import { createDatabase, type Database } from '@tarfleet/db';
import { createLogger } from '@tarfleet/kernel';
import { type Process, startPostgres } from '@tarfleet/stack';
import { createFakeClock, type FakeClock } from '@tarfleet/testbed';
import { type Client, signIn } from './client.ts';
import { createRandom, pick } from './faults/random.ts';
import { expectedTimes, type Habit } from './schedules/expected-times.ts';
import { until } from './until.ts';
import { createWorld, PASSWORD, type World } from './world.ts';

const DAY_MS = 86_400_000;
const START = new Date('2026-09-25T00:00:00Z');
const END = new Date(START.getTime() + 200 * DAY_MS);
/** Every replica is away, over no Sunday. */
const OUTAGE = { from: new Date('2026-12-14T00:00:00Z'), to: new Date('2026-12-18T12:00:00Z') };

const HABITS: Record<string, Habit & { cron: string }> = {
  berlin: { cron: '30 2 * * *', zone: 'Europe/Berlin', on: () => true, at: { hour: 2, minute: 30 } },
  newyork: {
    ...{ cron: '30 2 * * 0', zone: 'America/New_York', on: ({ weekday }) => weekday === 'Sun' },
    at: { hour: 2, minute: 30 },
  },
  lordhowe: {
    ...{ cron: '45 1 * * SUN', zone: 'Australia/Lord_Howe', on: ({ weekday }) => weekday === 'Sun' },
    at: { hour: 1, minute: 45 },
  },
  howegap: {
    ...{
      cron: '15 2 4 10 *',
      zone: 'Australia/Lord_Howe',
      on: ({ month, day }) => month === 10 && day === 4,
    },
    at: { hour: 2, minute: 15 },
  },
  back: {
    ...{ cron: '0 * 25 10 *', zone: 'Europe/Berlin', on: ({ month, day }) => month === 10 && day === 25 },
    at: 'hourly',
  },
  forth: {
    ...{ cron: '0 * 28 3 *', zone: 'Europe/Berlin', on: ({ month, day }) => month === 3 && day === 28 },
    at: 'hourly',
  },
};

/** How often one replica is killed, and the clock put back. */
const [KILLS, BACKS] = [7, 6];

let closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.reverse()) await close();
  closing = [];
}, 120_000);

test('200 days with changes of clocks, and replicas that are killed, lose and double nothing', async () => {
  const { SCHEDULES_SEED: seed = String(Date.now() % 1_000_000) } = process.env;
  process.stderr.write(`SCHEDULES_SEED=${seed}\n`);
  const random = createRandom(Number(seed));
  const { world, clock, db } = await open();
  const replicas = await startReplicas(world);

  const expected = new Map(
    Object.entries(HABITS).map(([name, habit]) => [name, expectedTimes(habit, START, END)]),
  );
  let begun = 0;
  const all = [...steps(expected)];
  const some = (count: number): Set<number> =>
    new Set(Array.from({ length: count }, () => pick(random, all)));
  const [kills, backs] = [some(KILLS), some(BACKS)];
  for (const step of all) {
    const outage = step > OUTAGE.from.getTime() && !replicas.outage;
    if (outage) await replicas.killAll();
    if (outage) await clock.set(OUTAGE.to);
    if (outage) await replicas.startAll();
    if (step > clock.now().getTime()) await clock.set(new Date(step + Math.floor(random() * 60_000)));
    if (kills.has(step)) {
      await sleep(random() * 300);
      await replicas.kill(random);
    }
    const due = [...expected.values()].flat().filter((time) => time <= clock.now() && !isLost(time)).length;
    // Where a killed replica had the news of an end in hand, another gets them when its lock has run out.
    const what = `${due} runs at ${clock.now().toISOString()}`;
    await until(what, async () => (await ended(db)) >= due, 240_000);
    expect(await ended(db)).toBe(due);
    begun = due;
    if (backs.has(step)) {
      const now = clock.now();
      await clock.set(new Date(now.getTime() - Math.floor(random() * 8 * 3_600_000)));
      await sleep(500);
      await clock.set(now);
    }
  }
  await clock.set(END);
  await sleep(1000);

  // Of what came while nothing ran, the last is made up for.
  const runs = await runsOf(db);
  const wanted = [...expected].flatMap(([name, times]) =>
    times.filter((time) => !isLost(time)).map((time) => `${name} ${time.toISOString()} completed`),
  );
  expect(runs.map(({ line }) => line).sort()).toEqual(wanted.sort());
  expect(runs).toHaveLength(begun);
  const madeUp = runs.filter(({ missed }) => missed > 0);
  expect(madeUp.map(({ line, missed }) => [line, missed])).toEqual([
    ['berlin 2026-12-18T01:30:00.000Z completed', 4],
  ]);
  await expectBackups(await replicas.client(), db, runs);
}, 900_000);

/** As far at a time as each schedule is due once at most. */
function* steps(expected: Map<string, Date[]>): Generator<number> {
  const named = new Map<number, string[]>();
  for (const [name, times] of expected) {
    for (const time of times) named.set(time.getTime(), [...(named.get(time.getTime()) ?? []), name]);
  }
  let [due, last] = [new Set<string>(), START.getTime()];
  for (const [at, names] of [...named].sort(([one], [other]) => one - other)) {
    if (names.some((name) => due.has(name))) {
      yield last;
      due = new Set();
    }
    for (const name of names) due.add(name);
    last = at;
  }
  yield last;
}

/** Passed over while no replica ran. */
function isLost(time: Date): boolean {
  return time > OUTAGE.from && time < new Date(OUTAGE.to.getTime() - DAY_MS);
}

async function open(): Promise<{ world: World; clock: FakeClock; db: Database }> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-clock-'));
  closing.push(() => rm(dir, { recursive: true, force: true }));
  await chmod(dir, 0o755);
  const clock = await createFakeClock(dir, START);
  closing.push(() => clock.close());
  const postgres = await startPostgres({ dir: join(dir, 'postgres'), unsafeFast: true, env: clock.env });
  closing.push(() => postgres.stop());
  await postgres.ensureDatabase('schedules');
  const world = await createWorld('redis', {
    workers: 3,
    logLevel: 'warn',
    databaseUrl: postgres.url('schedules'),
    apiEnv: {
      ...{ ...clock.env, SCHEDULE_EVERY_MS: '100', RECONCILE_EVERY_MS: '1000' },
      // In so many days most would be deleted again.
      RETENTION_EVERY_MS: '0',
    },
    workerEnv: { ...clock.env, HEARTBEAT_MS: '5000' },
  });
  closing.push(() => world.close());
  const db = createDatabase({
    url: postgres.url('schedules'),
    logger: createLogger({ level: 'silent', process: 'test' }),
  });
  closing.push(() => db.close());

  const { data: server } = await world.client.must('POST', '/api/servers', { name: 'here', kind: 'local' });
  for (const name of Object.keys(HABITS)) {
    const path = join(world.dir, 'data', name);
    await mkdir(path, { recursive: true });
    await writeFile(join(path, 'text'), name);
    await world.addService(server.id, name, [path]);
  }
  const schedules = Object.entries(HABITS).map(([name, { cron, zone }]) => ({
    ...{ name, cron, time_zone: zone, type: 'full', services: [name], encrypt: false, verify: false },
  }));
  await world.client.must('POST', '/api/backups/schedule/configure', { schedules });
  return { world, clock, db };
}

interface Replica {
  process: Process;
  url: string;
}

/** Two API processes; one that is killed comes back by itself, and the other is let live meanwhile. */
async function startReplicas(world: World) {
  const second = await world.stack.addApi();
  const { api: process, url } = world.stack;
  let living: Replica[] = [{ process, url }, second];
  let coming: Promise<void> = Promise.resolve();
  const start = async (): Promise<void> => {
    living.push(await world.stack.addApi());
  };
  const replicas = {
    outage: false,
    async kill(random: () => number): Promise<void> {
      await coming;
      const victim = pick(random, living);
      living = living.filter((one) => one !== victim);
      victim.process.child.kill('SIGKILL');
      coming = start();
    },
    async killAll(): Promise<void> {
      replicas.outage = true;
      await coming;
      for (const one of living) one.process.child.kill('SIGKILL');
      living = [];
    },
    async startAll(): Promise<void> {
      await Promise.all([start(), start()]);
    },
    /** Of one that lives. */
    async client(): Promise<Client> {
      await coming;
      return signIn(pick(() => 0, living).url, world.stack.adminEmail, PASSWORD);
    },
  };
  closing.push(() => coming);
  return replicas;
}

async function ended(db: Database): Promise<number> {
  const ids = (await db.schedules.list(null)).map(({ id }) => id);
  const counts = [...(await db.scheduleRuns.history(ids)).values()].map((history) => history.counts);
  return counts.reduce((sum, { in_progress: _running, ...rest }) => sum + total(Object.values(rest)), 0);
}

function total(counts: number[]): number {
  return counts.reduce((sum, count) => sum + count, 0);
}

async function runsOf(db: Database) {
  const schedules = await db.schedules.list(null);
  const runs = await Promise.all(
    schedules.map(async ({ id, name }) =>
      (await db.scheduleRuns.list(id, 10_000)).map((run) => ({
        ...run,
        line: `${name} ${run.dueAt.toISOString()} ${run.status}`,
      })),
    ),
  );
  return runs.flat();
}

/** Each run has a backup of its own that was begun after its time and is complete, and there are no others. */
async function expectBackups(
  client: Client,
  db: Database,
  runs: Awaited<ReturnType<typeof runsOf>>,
): Promise<void> {
  const { rows, total } = await db.backups.list({ projectIds: null, page: 1, perPage: 10_000 });
  expect(total).toBe(runs.length);
  const backups = new Map(rows.map((backup) => [backup.id, backup]));
  for (const run of runs) {
    const backup = backups.get(run.backupId ?? '');
    expect(backup).toMatchObject({
      status: 'completed',
      scheduleId: run.scheduleId,
      manifestKey: expect.any(String),
    });
    expect(backup?.createdAt.getTime()).toBeGreaterThanOrEqual(run.dueAt.getTime());
  }
  const { data } = await client.must('GET', '/api/backups/schedule');
  for (const schedule of data.schedules) {
    const own = runs.filter(({ scheduleId }) => scheduleId === schedule.id).length;
    expect(schedule).toMatchObject({ total_runs: own, successful_runs: own, failed_runs: 0, alerts: [] });
    expect(schedule.last_status).toBe(own > 0 ? 'completed' : null);
    expect(new Date(schedule.next_run).getTime()).toBeGreaterThan(END.getTime());
  }
}
