import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from '@jest/globals';
import type { EventBatch, JobEvent } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { keepingReporter, uuid } from '../testing.ts';
import { createReporter } from './reporter.ts';

const about = { jobId: uuid(1), kind: 'verify', attempt: 1001, token: 'abcdefabcdef' } as const;
const seqs = (batches: EventBatch[]): number[] =>
  batches.flatMap(({ events }) => events.map(({ seq }) => seq));
const upTo = (n: number): number[] => Array.from({ length: n }, (_, i) => i + 1);
const warning = (n: number) => ({ code: 'X', message: `w${n}` });

test('events travel together, numbered from one without gaps', async () => {
  const { report, batches } = keepingReporter();
  report.emit({ type: 'started', worker: 'w' });
  for (let n = 0; n < 700; n += 1) report.warn(warning(n));
  await report.flush();
  report.emit({ type: 'ended', state: 'completed' });
  await report.flush();
  await report.flush();
  expect(seqs(batches)).toEqual(upTo(702));
  expect(batches.map(({ events }) => events.length)).toEqual([500, 201, 1]);
  expect(batches[0]).toMatchObject({ v: 1, type: 'events', attempt: 1001, token: 'abcdefabcdef' });
});

test('what nobody flushes goes after a moment', async () => {
  const { report, batches } = keepingReporter();
  report.emit({ type: 'started', worker: 'w' });
  expect(batches).toHaveLength(0);
  while (batches.length === 0) await sleep(10);
  expect(seqs(batches)).toEqual([1]);
});

test('the order holds while publishing is slow: one batch at a time', async () => {
  const got: EventBatch[] = [];
  let inHand = 0;
  const report = createReporter({
    ...about,
    async publish(batch) {
      inHand += 1;
      expect(inHand).toBe(1);
      await sleep(got.length === 0 ? 100 : 1);
      got.push(batch);
      inHand -= 1;
    },
  });
  for (let n = 0; n < 5; n += 1) {
    report.warn(warning(n));
    void report.flush();
  }
  await report.flush();
  expect(got).toHaveLength(5);
  expect(seqs(got)).toEqual(upTo(5));
});

test('a publish that fails for good shows in the flush, and nothing is sent past the gap', async () => {
  const got: EventBatch[] = [];
  const report = createReporter({
    ...about,
    async publish(batch) {
      if (batch.events[0]?.seq === 2) throw new AppError('UNAVAILABLE', 'gone');
      got.push(batch);
    },
  });
  report.warn(warning(1));
  await report.flush();
  report.warn(warning(2));
  await expect(report.flush()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  report.warn(warning(3));
  await expect(report.flush()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(seqs(got)).toEqual([1]);
});

test('a thousand warnings are sent, the rest are counted', async () => {
  const { report, events, batches } = keepingReporter();
  for (let n = 0; n < 1234; n += 1) report.warn(warning(n));
  expect(report.warnings()).toBe(1234);
  await report.flush();
  expect(events()).toHaveLength(1001);
  expect(events().at(-1)).toMatchObject({
    code: 'MORE_WARNINGS',
    message: '234 more warnings are not listed.',
  });
  report.emit({ type: 'ended', state: 'completed' });
  await report.flush();
  expect(seqs(batches)).toEqual(upTo(1002));
  expect(report.warnings()).toBe(1234);
});

test('a warning that stands for many counts as many', async () => {
  const { report, events } = keepingReporter();
  report.warn(warning(1));
  report.warn({ ...warning(2), count: 103 });
  await report.flush();
  expect([report.warnings(), events().length]).toEqual([104, 2]);
});

test('names are text, and bytes beside it where the text does not say all', async () => {
  const { report, events } = keepingReporter();
  report.warn({ code: 'X', message: 'm', path: Buffer.from('/srv/ä') });
  report.warn({ code: 'X', message: 'm', path: Buffer.from([0x2f, 0xff, 0x61]) });
  await report.flush();
  const [text, bytes] = events() as Extract<JobEvent, { type: 'warning' }>[];
  expect(text).toMatchObject({ path: '/srv/ä' });
  expect(text).not.toHaveProperty('pathBase64');
  expect(bytes).toMatchObject({ path: '/\uFFFDa', pathBase64: 'L/9h' });
});

test('a step ends as its action does, and hides the text of unknown errors', async () => {
  const { report, events } = keepingReporter();
  expect(await report.step('one', 'first', async () => 7)).toBe(7);
  const secret = new Error('secret');
  await expect(report.step('two', 'second', () => Promise.reject(secret))).rejects.toBe(secret);
  const known = new AppError('PATH_NOT_FOUND', 'no /srv');
  await expect(report.step('three', 'third', () => Promise.reject(known))).rejects.toBe(known);
  await report.flush();
  expect(
    events().map((event) => (event.type === 'step' ? [event.number, event.status, event.message] : null)),
  ).toEqual([
    [1, 'started', 'first'],
    [1, 'completed', 'first'],
    [2, 'started', 'second'],
    [2, 'failed', 'failed'],
    [3, 'started', 'third'],
    [3, 'failed', 'no /srv'],
  ]);
});

test('what was dropped is never sent', async () => {
  const { report, batches } = keepingReporter();
  report.emit({ type: 'started', worker: 'w' });
  report.drop();
  await sleep(300);
  await report.flush();
  expect(batches).toEqual([]);
});

test('a step that an abort broke off says why, not what broke', async () => {
  const messageOf = async (reason: unknown): Promise<string | undefined> => {
    const cancel = new AbortController();
    const got: EventBatch[] = [];
    const report = createReporter({
      ...about,
      signal: cancel.signal,
      publish: async (batch) => void got.push(batch),
    });
    const step = report.step('transfer', 'Reading', async () => {
      cancel.abort(reason);
      throw new DOMException('The operation was aborted', 'AbortError');
    });
    await expect(step).rejects.toThrow('The operation was aborted');
    await report.flush();
    const last = got.at(-1)?.events.at(-1);
    return last?.type === 'step' ? last.message : undefined;
  };
  expect(await messageOf(new AppError('CANCELLED', 'the tour is over'))).toBe('cancelled');
  expect(await messageOf(new AppError('WORKER_STOPPING', 'The worker is being stopped.'))).toBe(
    'The worker is being stopped.',
  );
  expect(await messageOf(new Error('password hunter2'))).toBe('failed');
});
