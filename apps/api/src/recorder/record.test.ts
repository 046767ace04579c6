import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { JobRecord } from '@tarfleet/db';
import {
  attemptOf,
  COMPLETED,
  openRunFixture,
  type RunFixture,
  STARTED,
  silent,
  step,
} from '../testing/run-fixture.ts';
import { createRecorder, type Recorder } from './record.ts';

let t: RunFixture;
let recorder: Recorder;
const ended: JobRecord[] = [];

beforeAll(async () => {
  t = await openRunFixture();
  recorder = createRecorder({
    db: t.db,
    logger: silent,
    sweepGraceMs: 1000,
    onEnded: (job) => ended.push(job),
  });
});
afterAll(() => t.close());

const newJob = async (): Promise<JobRecord> => {
  const { children } = await t.storeBackup([await t.addService(t.server.id)]);
  return children[0]!;
};
const read = async (job: JobRecord) => (await t.db.jobs.get(job.id))!;
const seqs = async (job: JobRecord, attempt: number) =>
  (await t.db.jobEvents.ofAttempt(job.id, attempt, 0)).map(({ event }) => event.seq);

test('events in order have their effect once each', async () => {
  const job = await newJob();
  const batch = attemptOf(job);
  await recorder.record(batch(1, STARTED));
  expect(await read(job)).toMatchObject({
    state: 'running',
    worker: 'w1',
    attempt: 1001,
    lastSeq: 1,
    endedAt: null,
  });
  await recorder.record(batch(2, step(1, 'started'), step(1, 'completed')));
  expect(await read(job)).toMatchObject({ lastSeq: 3 });
  await recorder.record(batch(4, COMPLETED));
  expect(await read(job)).toMatchObject({
    ...{ state: 'completed', lastSeq: 4, endedAt: new Date('2026-01-02T03:04:05.000Z') },
  });
  expect(ended.filter(({ id }) => id === job.id)).toHaveLength(1);
});

test('batches in any order and twice come to the same; an end behind a gap waits', async () => {
  const job = await newJob();
  const batch = attemptOf(job);
  const batches = [
    batch(1, STARTED),
    batch(2, step(1, 'started')),
    batch(3, step(1, 'completed'), COMPLETED),
  ];
  await recorder.record(batches[2]!);
  expect(await read(job)).toMatchObject({ state: 'queued', lastSeq: 0, attempt: 1001, endedAt: null });
  await recorder.record(batches[0]!);
  await recorder.record(batches[0]!);
  expect(await read(job)).toMatchObject({ state: 'running', lastSeq: 1, endedAt: null });
  await recorder.record(batches[1]!);
  expect(await read(job)).toMatchObject({ state: 'completed', lastSeq: 4 });
  for (const again of batches) await recorder.record(again);
  expect(await seqs(job, 1001)).toEqual([1, 2, 3, 4]);
  expect(ended.filter(({ id }) => id === job.id)).toHaveLength(1);
});

test('batches recorded at the same time come to the same', async () => {
  const job = await newJob();
  const batch = attemptOf(job);
  const steps = Array.from({ length: 8 }, (_, i) => batch(i + 2, step(i + 1, 'started')));
  await Promise.all([batch(10, COMPLETED), ...steps, batch(1, STARTED)].map((one) => recorder.record(one)));
  expect(await read(job)).toMatchObject({ state: 'completed', lastSeq: 10 });
  expect(await seqs(job, 1001)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10]);
});

test('a later attempt counts from its own first event, though its batches arrive out of order', async () => {
  const job = await newJob();
  await recorder.record(attemptOf(job, 1001)(1, STARTED, step(1, 'started'), step(1, 'completed')));
  const second = attemptOf(job, 1002);
  await recorder.record(second(2, step(1, 'started'), COMPLETED));
  expect(await read(job)).toMatchObject({ attempt: 1002, lastSeq: 0, endedAt: null });
  await recorder.record(second(1, { type: 'started', worker: 'w2' }));
  expect(await read(job)).toMatchObject({ state: 'completed', worker: 'w2', attempt: 1002, lastSeq: 3 });
});

test('what a superseded attempt says changes nothing', async () => {
  const job = await newJob();
  const first = attemptOf(job, 1001);
  await recorder.record(first(1, STARTED));
  await recorder.record(attemptOf(job, 1002)(1, { type: 'started', worker: 'w2' }));
  const before = await read(job);
  await recorder.record(first(2, { type: 'ended', state: 'failed' }));
  // The same number under another token: one of the two was fenced off.
  await recorder.record(attemptOf(job, 1002)(2, { type: 'ended', state: 'failed' }));
  expect(await read(job)).toEqual(before);
  expect(await seqs(job, 1001)).toEqual([1]);
  expect(await seqs(job, 1002)).toEqual([1]);
});

test('nothing is added after the end, not by a later attempt either', async () => {
  const job = await newJob();
  const batch = attemptOf(job);
  await recorder.record(batch(1, STARTED, COMPLETED));
  const before = await read(job);
  await recorder.record(batch(3, step(1, 'started')));
  await recorder.record(attemptOf(job, 1002)(1, STARTED, { type: 'ended', state: 'failed' }));
  expect(await read(job)).toEqual(before);
  expect(await seqs(job, 1001)).toEqual([1, 2]);
});

test('events of a job that nobody knows are dropped', async () => {
  await recorder.record(attemptOf({ id: crypto.randomUUID(), kind: 'verify' })(1, STARTED, COMPLETED));
});

test('progress is kept when it is newer, of the current attempt and before the end', async () => {
  const job = await newJob();
  const progress = (attempt: number, n: number) => ({
    ...{ attempt, n, phase: 'p', bytesDone: n, bytesTotal: 10, filesDone: 0, filesTotal: null },
    ...{ current: null, bytesPerSecond: null, secondsLeft: null },
  });
  const done = async () => (await read(job)).progress?.bytesDone;
  await recorder.progress(job.id, progress(1001, 3));
  await recorder.progress(job.id, progress(1001, 2));
  expect(await done()).toBe(3);
  await recorder.record(attemptOf(job, 1002)(1, STARTED));
  await recorder.progress(job.id, progress(1001, 9));
  expect(await done()).toBe(3);
  await recorder.progress(job.id, progress(1002, 1));
  expect(await done()).toBe(1);
  await recorder.record({ ...attemptOf(job, 1003)(1, STARTED, COMPLETED) });
  await recorder.progress(job.id, progress(1003, 8));
  expect(await done()).toBe(1);
});
