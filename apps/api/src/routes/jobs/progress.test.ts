import { expect, test } from '@jest/globals';
import type { Progress } from '@tarfleet/contracts';
import type { Database, JobRecord } from '@tarfleet/db';
import { artifactResult } from '../../testing/run-fixture.ts';
import { readProgress } from './progress.ts';

const job = (change: Partial<JobRecord> = {}): JobRecord => ({
  ...{
    id: 'a',
    kind: 'artifact',
    pool: 'default',
    projectId: 1,
    userId: null,
    backupId: null,
    parentId: null,
  },
  ...{
    requestId: 'r',
    afterId: null,
    afterAnyEnd: false,
    state: 'running',
    plan: '',
    generation: 1,
    dispatchedAt: null,
    attempt: 1001,
    token: null,
  },
  ...{ lastSeq: 0, progress: null, result: null, failure: null, cancelRequestedAt: null, cancelReason: null },
  ...{ worker: null, createdAt: new Date(), startedAt: null, endedAt: null },
  ...change,
});
const progress = (
  bytesDone: number,
  bytesTotal: number | null,
  bytesPerSecond: number | null = null,
): Progress => ({
  ...{ attempt: 1001, n: 1, phase: 'p', bytesDone, bytesTotal, filesDone: 1, filesTotal: 2 },
  ...{ current: '/x', bytesPerSecond, secondsLeft: null },
});
const read = (parent: JobRecord, children: JobRecord[] = []) =>
  readProgress({ jobs: { children: async () => children } } as unknown as Pick<Database, 'jobs'>, parent);
const backup = (change: Partial<JobRecord> = {}) => job({ kind: 'backup', ...change });
const done = job({ endedAt: new Date(), state: 'completed', result: artifactResult('a', 'p') });

test('before anything is told, nothing is done', async () => {
  expect(await read(job({ state: 'queued' }))).toMatchObject({
    phase: 'queued',
    percent: 0,
    bytes_total: null,
  });
  expect(await read(backup({ state: 'queued' }), [job(), job()])).toMatchObject({ percent: 0 });
});

test('a job alone: its share, never 100 before the end, and 100 after a good one', async () => {
  expect(await read(job({ progress: progress(50, 100, 12.6) }))).toMatchObject({
    percent: 50,
    bytes_per_second: 13,
  });
  expect(await read(job({ progress: progress(100, 100) }))).toMatchObject({ percent: 99 });
  expect(await read(job({ progress: progress(5, null) }))).toMatchObject({ percent: 0, bytes_total: null });
  const endedAt = new Date();
  expect(await read(job({ progress: progress(50, 100), endedAt, state: 'completed' }))).toMatchObject({
    ...{ percent: 100, phase: 'completed', current: null },
  });
  expect(await read(job({ progress: progress(100, 100), endedAt, state: 'failed' }))).toMatchObject({
    percent: 99,
  });
});

test('a backup: its artifacts taken together; the total only once all are known', async () => {
  const half = job({ progress: progress(30, 80, 10) });
  expect(await read(backup({ state: 'queued' }), [done, half])).toMatchObject({
    ...{ phase: 'backing_up_files', bytes_done: 50, bytes_total: 100, percent: 37 },
    ...{ bytes_per_second: 10, seconds_left: 5, current: '/x', files_done: 3, files_total: 4 },
  });
  expect(await read(backup({ state: 'queued' }), [half, job()])).toMatchObject({
    ...{ bytes_done: 30, bytes_total: null, percent: 0, seconds_left: null },
  });
});

test('reading back is the last quarter', async () => {
  const parent = backup({ progress: { ...progress(5, 10), phase: 'verification' } });
  expect(await read(parent, [done])).toMatchObject({ phase: 'verification', percent: 87, bytes_done: 20 });
});
