import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { FoundGroup, JobEventBody } from '@tarfleet/contracts';
import { type BackupStatus, type DestinationRecord, MOST_UNKNOWN } from '@tarfleet/db';
import { v7 } from 'uuid';
import { planSurvey } from '../planner/survey.ts';
import {
  attemptOf,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from '../testing/run-fixture.ts';
import { createRecorder, type Recorder } from './record.ts';
import { createSurveyRun } from './surveys.ts';

const GRACE_MS = 60_000;
let t: RunFixture;
let recorder: Recorder;
beforeAll(async () => {
  t = await openRunFixture();
  recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: GRACE_MS, onEnded: () => undefined });
});
afterAll(() => t.close());

const dispatcher = () => t.dispatcherOn(queueThatIsDown());
const addDestination = (): Promise<DestinationRecord> =>
  t.db.destinations.create({
    ...{ name: `place ${v7()}`, type: 'local', config: { path: '/srv/other' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: false },
  });
const begin = async (destination: DestinationRecord) => {
  const request = { destination, userId: null, requestId: 'r', graceMs: GRACE_MS };
  const draft = await planSurvey({ db: t.db, keys: t.keys }, request);
  await dispatcher().submit(draft);
  return draft.root;
};
const group = (prefix: string, change: Partial<FoundGroup> = {}): FoundGroup => ({
  ...{ prefix, foreign: false, backupId: null, example: `${prefix}x`, objects: 2, bytes: 10, uploads: 0 },
  ...{ oldest: '2026-01-01T00:00:00.000Z', newest: '2026-01-02T00:00:00.000Z' },
  ...change,
});
const found = (...groups: FoundGroup[]): JobEventBody => ({ type: 'found', groups });
const DONE: JobEventBody = {
  ...{ type: 'ended', state: 'completed' },
  result: { kind: 'survey', objects: 9, bytes: 99, uploads: 1, young: 0 },
};
const survey = async (destination: DestinationRecord, ...events: JobEventBody[]) => {
  const job = await begin(destination);
  await recorder.record(attemptOf(job)(1, STARTED, ...events, DONE));
  return job;
};
const unknownAt = async ({ id }: DestinationRecord) =>
  (await t.db.surveys.unknown(id, { page: 1, perPage: 100 })).items;

test('only what belongs to no backup is stored, whatever state the known ones are in', async () => {
  const states = [
    'in_progress',
    'completed',
    'partial',
    'hidden',
    'deleting',
    'failed',
    'cancelled',
  ] as const;
  const known: FoundGroup[] = [];
  const store = async (status: BackupStatus, deletedAt: Date | null = null) => {
    const { job } = await t.storeBackup([await t.addService(t.server.id)]);
    await t.db.backups.change(job.id, { status, deletedAt });
    const backup = await t.db.backups.get(job.id);
    return group(`${backup?.keyPrefix}/`, { backupId: job.id });
  };
  for (const status of states) known.push(await store(status));
  known.push(await store('deleted', new Date()));
  const left = await store('deleted', new Date(Date.now() - 2 * GRACE_MS));
  const stranger = v7();
  // The id of a known backup in another place is no proof: its own folder is.
  const elsewhere = known[1]?.backupId ?? '';
  await survey(
    t.destination,
    found(
      ...known,
      left,
      { ...group('', known[0]), prefix: `below/${known[0]?.prefix}` },
      { ...group('', known[1]), prefix: known[1]?.prefix ?? '', foreign: true },
      group(`project-9/2026-01-01/${stranger}/`, { backupId: stranger }),
      group(`project-9/2026-01-01/${elsewhere}/`, { backupId: elsewhere }),
      group('photos/', { uploads: 3 }),
    ),
  );
  const rows = await unknownAt(t.destination);
  expect(rows.map(({ prefix, reason }) => [prefix, reason]).sort()).toEqual(
    [
      [left.prefix, 'deleted_backup'],
      [known[1]?.prefix, 'foreign_name'],
      [`project-9/2026-01-01/${stranger}/`, 'no_backup'],
      [`project-9/2026-01-01/${elsewhere}/`, 'no_backup'],
      ['photos/', 'no_backup'],
    ].sort(),
  );
  expect(rows.find(({ prefix }) => prefix === 'photos/')).toMatchObject({
    ...{ objects: 2, bytes: 10, uploads: 3, example: 'photos/x' },
    ...{ oldestAt: new Date('2026-01-01T00:00:00.000Z'), newestAt: new Date('2026-01-02T00:00:00.000Z') },
  });
});

test('parts of one group add up, the next survey counts anew, and what is gone is forgotten', async () => {
  const place = await addDestination();
  const late = '2026-02-01T00:00:00.000Z';
  const job = await survey(
    place,
    found(group('a/'), group('gone/')),
    found(group('a/', { newest: late, oldest: null })),
  );
  const [first] = (await unknownAt(place)).filter(({ prefix }) => prefix === 'a/');
  expect(first).toMatchObject({ objects: 4, bytes: 20, newestAt: new Date(late) });
  expect(await t.db.surveys.get(place.id)).toMatchObject({
    ...{ jobId: job.id, state: 'completed', objects: 9, bytes: 99, uploads: 1, truncated: false },
  });
  const events = await t.db.jobEvents.ofAttempt(job.id, 1001, 0);
  expect(events.map(({ event }) => event.type)).toEqual(['started', 'ended']);

  await survey(place, found(group('a/')), found(group('new/')));
  const rows = await unknownAt(place);
  expect(rows.map(({ prefix }) => prefix)).toEqual(['new/', 'a/']);
  expect(rows[1]).toMatchObject({ objects: 2, firstSeenAt: first?.firstSeenAt });
  expect(Number(rows[1]?.lastSeenAt)).toBeGreaterThan(Number(first?.lastSeenAt));
});

test('a second attempt counts anew, and one that fails takes nothing away', async () => {
  const place = await addDestination();
  await survey(place, found(group('old/')));
  const job = await begin(place);
  await recorder.record(attemptOf(job, 1001)(1, STARTED, found(group('a/'))));
  await recorder.record(attemptOf(job, 1002)(1, STARTED, found(group('a/'))));
  const failure = { code: 'DESTINATION_UNREACHABLE', message: 'gone', retryable: false } as const;
  await recorder.record(attemptOf(job, 1003)(1, STARTED, { type: 'ended', state: 'failed', failure }));
  expect((await unknownAt(place)).map(({ prefix, objects }) => [prefix, objects])).toEqual([
    ['a/', 2],
    ['old/', 2],
  ]);
});

test('no more is stored than that, and it is said', async () => {
  const place = await addDestination();
  const groups = Array.from({ length: MOST_UNKNOWN + 1 }, (_, n) =>
    group(`g-${String(n).padStart(5, '0')}/`),
  );
  const parts = Array.from({ length: 11 }, (_, n) => groups.slice(n * 500, n * 500 + 500)).filter(
    (part) => part.length,
  );
  // What is stored already still counts when there is no more room.
  await survey(place, ...parts.map((part) => found(...part)), found(group('g-00000/')));
  const { total, items } = await t.db.surveys.unknown(place.id, { page: 1, perPage: 10_000 });
  expect(total).toBe(MOST_UNKNOWN);
  expect(items.find(({ prefix }) => prefix === 'g-00000/')?.objects).toBe(4);
  expect(await t.db.surveys.get(place.id)).toMatchObject({ truncated: true });
  expect((await t.db.surveys.totals()).find(({ destinationId }) => destinationId === place.id)).toMatchObject(
    {
      groups: MOST_UNKNOWN,
    },
  );
  await survey(place, found(group('a/')));
  expect(await t.db.surveys.get(place.id)).toMatchObject({ truncated: false });
  expect(await unknownAt(place)).toHaveLength(1);
});

test('one survey at a time, however many ask', async () => {
  const place = await addDestination();
  const asked = await Promise.allSettled([begin(place), begin(place), begin(place), begin(place)]);
  expect(asked.filter(({ status }) => status === 'fulfilled')).toHaveLength(1);
  for (const one of asked) {
    if (one.status === 'rejected') expect(one.reason).toMatchObject({ code: 'CONFLICT' });
  }
});

test('replicas look through each destination once in a while, and not at all when it is turned off', async () => {
  const place = await addDestination();
  const options = {
    ...{ db: t.db, queue: queueThatIsDown(), dispatcher: dispatcher(), keys: t.keys, logger: silent },
    ...{
      sweepGraceMs: 0,
      everyMs: 1,
      patienceMs: 1,
      testWaitsMs: 60_000,
      retentionEveryMs: 0,
      surveyEveryMs: 3600_000,
    },
    onEnded: () => undefined,
  };
  const empty = await addDestination();
  await t.storeBackup([await t.addService(t.server.id)], { destinationId: place.id });
  await createSurveyRun(0, 0)(options);
  expect(await t.db.surveys.get(place.id)).toBeNull();
  await Promise.all(Array.from({ length: 4 }, () => createSurveyRun(3600_000, 0)(options)));
  const first = await t.db.surveys.get(place.id);
  expect(first).toMatchObject({ state: 'queued' });
  expect(await t.db.surveys.get(empty.id)).toBeNull();
  const { jobId: id } = first ?? { jobId: '' };
  await recorder.record(attemptOf({ id, kind: 'survey' })(1, STARTED, DONE));
  await createSurveyRun(3600_000, 0)(options);
  expect(await t.db.surveys.get(place.id)).toMatchObject({ jobId: id, state: 'completed' });
  await createSurveyRun(1, 0)(options);
  expect((await t.db.surveys.get(place.id))?.jobId).not.toBe(id);
});
