import { expect, test } from '@jest/globals';
import { AppError } from '@tarfleet/kernel';
import type { Delivery, QueueJob } from './index.ts';
import { aJob, eventually, gate, onBothBackends, untilState } from './testing.ts';

type Outcomes = Awaited<ReturnType<Delivery['childOutcomes']>>;

function aFlow(pool: string, count: number): { parent: QueueJob; children: QueueJob[] } {
  const parent = aJob(pool, 'backup');
  const child = (): QueueJob => aJob(pool, 'artifact', { parentJobId: parent.jobId });
  return { parent, children: Array.from({ length: count }, child) };
}

onBothBackends((backend) => {
  test('a parent runs when every child has ended, and sees what each came to', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const { parent, children } = aFlow(backend.pool(), 3);
    const [good, bad, flaky] = children as [QueueJob, QueueJob, QueueJob];
    await producer.enqueueFlow(parent, children);
    expect(await producer.state(parent)).toEqual({ state: 'waiting-children' });
    let flakyTries = 0;
    await worker.consume({
      ...{ pool: parent.pool, kind: 'artifact', concurrency: 2 },
      handler: async ({ jobId, isLastTry }) => {
        if (jobId === good.jobId) return { bytes: 7, name: 'nul \0' };
        if (jobId === bad.jobId) throw new AppError('PATH_NOT_FOUND', 'nul \0 in a message');
        flakyTries += 1;
        if (isLastTry) return 'at last';
        throw new AppError('CONNECTION_LOST', 'again', { retryable: true });
      },
    });
    let outcomes: Outcomes = new Map();
    await worker.consume({
      ...{ pool: parent.pool, kind: 'backup', concurrency: 1 },
      handler: async (delivery) => {
        outcomes = await delivery.childOutcomes();
        return 'closed';
      },
    });
    expect(await untilState(producer, parent, 'completed')).toMatchObject({ result: 'closed' });
    expect(flakyTries).toBe(3);
    expect([...outcomes.keys()].sort()).toEqual(children.map((job) => job.jobId).sort());
    expect(outcomes.get(good.jobId)).toEqual({ ok: true, result: { bytes: 7, name: 'nul \0' } });
    expect(outcomes.get(flaky.jobId)).toEqual({ ok: true, result: 'at last' });
    const failed = outcomes.get(bad.jobId);
    expect(failed?.ok === false && JSON.parse(failed.reason)).toEqual({
      ...{ code: 'PATH_NOT_FOUND', message: 'nul \0 in a message', retryable: false },
    });
    await producer.enqueueFlow(parent, children);
    expect(await producer.state(parent)).toMatchObject({ state: 'completed' });
    expect(await producer.remove(parent)).toBe(true);
    for (const job of [parent, ...children]) expect(await producer.state(job)).toEqual({ state: 'missing' });
  });

  test('a flow added several times at once is one flow; a finished child may be removed before the parent', async () => {
    const [producer, other] = [await backend.producer(), await backend.producer()];
    const worker = await backend.worker();
    const { parent, children } = aFlow(backend.pool(), 2);
    await Promise.all([producer, other, producer].map((one) => one.enqueueFlow(parent, children)));
    const ran: string[] = [];
    const [first, second] = children as [QueueJob, QueueJob];
    const { opened, open } = gate();
    await worker.consume({
      ...{ pool: parent.pool, kind: 'artifact', concurrency: 4 },
      handler: async ({ jobId }) => {
        ran.push(jobId);
        if (jobId === second.jobId) await opened;
        return jobId;
      },
    });
    await untilState(producer, first, 'completed');
    expect(await producer.remove(first)).toBe(true);
    expect(await producer.state(parent)).toEqual({ state: 'waiting-children' });
    open();
    let outcomes: Outcomes = new Map();
    await worker.consume({
      ...{ pool: parent.pool, kind: 'backup', concurrency: 1 },
      handler: async (delivery) => {
        outcomes = await delivery.childOutcomes();
      },
    });
    await untilState(producer, parent, 'completed');
    expect(ran.sort()).toEqual(children.map((job) => job.jobId).sort());
    expect(outcomes.get(first.jobId)).toEqual({ ok: true, result: first.jobId });
    expect(outcomes.get(second.jobId)).toEqual({ ok: true, result: second.jobId });
  });

  test('waiting children can be taken away; the parent then runs without them', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const { parent, children } = aFlow(backend.pool(), 4);
    await producer.enqueueFlow(parent, children);
    const { opened, open } = gate();
    const consumer = await worker.consume({
      ...{ pool: parent.pool, kind: 'artifact', concurrency: 1 },
      handler: async ({ jobId }) => {
        await opened;
        return jobId;
      },
    });
    await eventually(() => (consumer.running().length === 1 ? true : undefined));
    const started = consumer.running()[0]?.jobId ?? '';
    await producer.removeWaitingChildren(parent);
    expect(await producer.remove(parent)).toBe(false);
    expect(await producer.state(parent)).toEqual({ state: 'waiting-children' });
    for (const child of children) {
      const state = child.jobId === started ? 'active' : 'missing';
      expect(await producer.state(child)).toEqual({ state });
    }
    open();
    let outcomes: Outcomes = new Map();
    await worker.consume({
      ...{ pool: parent.pool, kind: 'backup', concurrency: 1 },
      handler: async (delivery) => {
        outcomes = await delivery.childOutcomes();
        return 'closed';
      },
    });
    expect(await untilState(producer, parent, 'completed')).toMatchObject({ result: 'closed' });
    expect([...outcomes]).toEqual([[started, { ok: true, result: started }]]);
  });

  test('a parent whose children were all taken away runs too; one without children runs at once', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const { parent, children } = aFlow(backend.pool(), 2);
    await producer.enqueueFlow(parent, children);
    const empty = aJob(parent.pool, 'backup');
    await producer.enqueueFlow(empty, []);
    await producer.removeWaitingChildren(parent);
    await producer.removeWaitingChildren(empty);
    const sizes: number[] = [];
    await worker.consume({
      ...{ pool: parent.pool, kind: 'backup', concurrency: 1 },
      handler: async (delivery) => {
        sizes.push((await delivery.childOutcomes()).size);
      },
    });
    await untilState(producer, parent, 'completed');
    await untilState(producer, empty, 'completed');
    expect(sizes).toEqual([0, 0]);
    await expect(producer.removeWaitingChildren(aJob(parent.pool, 'backup'))).rejects.toMatchObject({
      code: 'NOT_FOUND',
    });
  });

  test('removing a parent that waits takes its children along; children of a lost parent are taken over', async () => {
    const [producer, worker] = [await backend.producer(), await backend.worker()];
    const { parent, children } = aFlow(backend.pool(), 2);
    await producer.enqueueFlow(parent, children);
    expect(await producer.remove(parent)).toBe(true);
    for (const job of [parent, ...children]) expect(await producer.state(job)).toEqual({ state: 'missing' });

    // What a partial loss leaves: one child failed, one completed, no parent.
    const [bad, good] = children as [QueueJob, QueueJob];
    await producer.enqueue(bad);
    await producer.enqueue(good);
    let generation = 1;
    await worker.consume({
      ...{ pool: parent.pool, kind: 'artifact', concurrency: 1 },
      handler: async ({ jobId, attempt }) => {
        if (jobId === bad.jobId && generation === 1) throw new AppError('PATH_NOT_FOUND', 'no');
        return attempt;
      },
    });
    await untilState(producer, bad, 'failed');
    await untilState(producer, good, 'completed');
    generation = 2;
    const again = (job: QueueJob): QueueJob => ({ ...job, generation });
    await producer.enqueueFlow(again(parent), children.map(again));
    let outcomes: Outcomes = new Map();
    await worker.consume({
      ...{ pool: parent.pool, kind: 'backup', concurrency: 1 },
      handler: async (delivery) => {
        outcomes = await delivery.childOutcomes();
      },
    });
    await untilState(producer, parent, 'completed');
    expect(outcomes.get(bad.jobId)).toEqual({ ok: true, result: 2001 });
    expect(outcomes.get(good.jobId)).toEqual({ ok: true, result: 1001 });
  });
});
