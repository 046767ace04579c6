import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createRecorder, type Recorder } from '../../recorder/record.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  type RunFixture,
  STARTED,
  silent,
  step,
} from '../../testing/run-fixture.ts';
import { showJob } from './show-job.ts';
import { readTries } from './tries.ts';
import { viewEvent } from './view.ts';

let t: RunFixture;
let recorder: Recorder;
beforeAll(async () => {
  t = await openRunFixture();
  recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
});
afterAll(() => t.close());

test('tries are counted from one, over every time that the queue was given the job', async () => {
  const { job, children } = await t.storeBackup([await t.addService(t.server.id)]);
  const child = children[0]!;
  // Two tries, then the queue lost the job; its second generation never began, its third did twice.
  for (const attempt of [1001, 1002, 3001, 3002]) {
    await recorder.record(attemptOf(child, attempt)(1, STARTED, step(1, 'started')));
  }
  const artifact = artifactResult(child.id, 'p', 3002);
  const ended = { type: 'ended', state: 'completed' } as const;
  const result = backupResult('p', { artifacts: [artifact] });
  await recorder.record(attemptOf(job)(1, STARTED, { ...ended, result }));

  const shown = await showJob(t.db, (await t.db.jobs.get(child.id))!);
  expect(shown.attempt).toBe(4);
  expect(shown.steps.map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
  const events = await t.db.jobEvents.after(job.id, 0n, 100);
  const tryOf = await readTries(
    t.db,
    job.id,
    events.map(({ attempt }) => attempt),
  );
  const seen = events.map((event) => (viewEvent(event, tryOf).data as { attempt: number }).attempt);
  expect(seen).toEqual([1, 1, 2, 2, 3, 3, 4, 4, 1, 1]);

  const parent = await showJob(t.db, (await t.db.jobs.get(job.id))!);
  expect(parent.attempt).toBe(1);
  expect(parent.result).toMatchObject({ artifacts: [{ artifact_id: child.id, attempt: 4 }] });
  expect(JSON.stringify(parent.result)).not.toContain('"kind"');
});

test('what no worker has begun has no try', async () => {
  const { children } = await t.storeBackup([await t.addService(t.server.id)]);
  expect((await showJob(t.db, children[0]!)).attempt).toBe(0);
});

test('a step that nobody can end any more is interrupted, of whatever kind the job is', async () => {
  const { job, children } = await t.storeBackup([await t.addService(t.server.id)]);
  const child = children[0]!;
  const statuses = async (id: string) =>
    (await showJob(t.db, (await t.db.jobs.get(id))!)).steps.map(({ attempt, name, status, ended_at }) => [
      ...[attempt, name, status],
      ended_at !== null,
    ]);
  await recorder.record(attemptOf(child, 1001)(1, STARTED, step(1, 'started', 'transfer')));
  expect(await statuses(child.id)).toEqual([[1, 'transfer', 'running', false]]);
  // The worker was killed; the next attempt has begun, and has told of no step yet.
  await recorder.record(attemptOf(child, 1002)(1, STARTED));
  expect(await statuses(child.id)).toEqual([[1, 'transfer', 'interrupted', true]]);
  const second = [step(1, 'started', 'scan'), step(1, 'completed', 'scan'), step(2, 'started', 'transfer')];
  await recorder.record(attemptOf(child, 1003)(1, STARTED, ...second));
  await recorder.record(attemptOf(job)(1, STARTED, step(1, 'started', 'commit')));
  const before = [
    [1, 'transfer', 'interrupted', true],
    [3, 'scan', 'completed', true],
  ];
  expect(await statuses(job.id)).toEqual([
    ...[...before, [3, 'transfer', 'running', false]],
    [1, 'commit', 'running', false],
  ]);
  const failure = { code: 'STORAGE_FULL', message: 'No room.', retryable: false } as const;
  const ended = { type: 'ended', state: 'failed', failure } as const;
  await recorder.record(attemptOf(job, 1002)(1, STARTED, ended));
  expect(await statuses(job.id)).toEqual([
    ...[...before, [3, 'transfer', 'interrupted', true]],
    [1, 'commit', 'interrupted', true],
  ]);
});
