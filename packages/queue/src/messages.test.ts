import { randomUUID } from 'node:crypto';
import { expect, test } from '@jest/globals';
import type { EventBatch, FleetMessage, Heartbeat, JobEvent } from '@tarfleet/contracts';
import { openHub } from './hub.ts';
import { MESSAGES_QUEUE } from './names.ts';
import { eventually, FAST, gate, onBothBackends, testLogger } from './testing.ts';

function aBatch(from: number, count: number, more: Partial<EventBatch> = {}): EventBatch {
  const events = Array.from({ length: count }, (_, index): JobEvent => {
    const message = `path with nul \0 and half a pair \ud83d, ${from + index}`;
    return { type: 'warning', seq: from + index, at: new Date(0).toISOString(), code: 'TORN', message };
  });
  const base = { v: 1, type: 'events', kind: 'artifact', attempt: 1001, token: 'aaaaaaaaaaaa' } as const;
  return { ...base, jobId: randomUUID(), events, ...more };
}

function aHeartbeat(): Heartbeat {
  const at = new Date().toISOString();
  const base = { v: 1, type: 'heartbeat', host: 'h', pid: 1, pool: 'main', version: '0' } as const;
  const keyring = { keys: [], primary: null };
  return { ...base, keyring, workerId: `h:1:${randomUUID()}`, startedAt: at, at, stopping: false, jobs: [] };
}

onBothBackends((backend) => {
  const counts = async () => {
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const found = await (await hub.queue(MESSAGES_QUEUE)).getJobCounts();
    await hub.close();
    return found;
  };

  test('each message is stored once, handed out, and gone when it was acknowledged', async () => {
    const worker = await backend.worker();
    const batch = aBatch(1, 3);
    const heartbeat = aHeartbeat();
    await Promise.all([batch, batch, heartbeat, heartbeat, batch].map((one) => worker.publish(one)));
    await worker.publish(batch);
    expect((await counts()).waiting).toBe(2);
    // One that begins alike but goes on is not the same.
    const longer = { ...batch, events: aBatch(1, 5).events };
    await worker.publish(longer);
    const events = await backend.events();
    const got: FleetMessage[] = [];
    await events.onMessage(async (message) => {
      got.push(message);
    });
    await eventually(() => (got.length === 3 ? true : undefined));
    expect(got).toEqual(expect.arrayContaining([batch, heartbeat, longer]));
    await eventually(async () => {
      const left = await counts();
      return Object.values(left).every((count) => count === 0) ? true : undefined;
    });
  });

  test('a message that a recorder rejects comes again, to any recorder, until it is taken', async () => {
    const worker = await backend.worker();
    const batches = [1, 2, 3].map((seq) => aBatch(seq, 1));
    const got: string[] = [];
    let refusals = 0;
    for (const events of [await backend.events(), await backend.events()]) {
      await events.onMessage(async (message) => {
        if (refusals < 5) {
          refusals += 1;
          throw new Error('no database just now');
        }
        got.push(message.type === 'events' ? message.jobId : '');
      });
    }
    for (const batch of batches) await worker.publish(batch);
    await eventually(() => (got.length === 3 ? true : undefined));
    expect(got.sort()).toEqual(batches.map((batch) => batch.jobId).sort());
    expect(refusals).toBe(5);
  });

  test('a message that no schema fits is kept as failed and holds up nothing', async () => {
    const hub = await openHub({ url: backend.url, logger: testLogger(), settings: FAST });
    const queue = await hub.queue(MESSAGES_QUEUE);
    const before = (await queue.getJobCounts()).failed ?? 0;
    await queue.add('events', { body: '{"v":99}' }, { jobId: `events-${randomUUID()}` });
    await queue.add('events', { other: true }, { jobId: `events-${randomUUID()}` });
    const worker = await backend.worker();
    const batch = aBatch(1, 1);
    await worker.publish(batch);
    const events = await backend.events();
    const got: FleetMessage[] = [];
    await events.onMessage(async (message) => {
      got.push(message);
    });
    await eventually(async () =>
      ((await queue.getJobCounts()).failed ?? 0) === before + 2 ? true : undefined,
    );
    await eventually(() => got[0]);
    expect(got).toEqual([batch]);
    await hub.close();
  });

  test('a recorder that closes waits for the messages in hand', async () => {
    const worker = await backend.worker();
    const events = await backend.events();
    const { opened, open } = gate();
    let [begun, ended] = [0, 0];
    await events.onMessage(async () => {
      begun += 1;
      await opened;
      ended += 1;
    });
    for (let seq = 1; seq <= 20; seq += 1) await worker.publish(aBatch(seq, 1));
    await eventually(() => (begun === 8 ? true : undefined));
    const closed = events.close();
    open();
    await closed;
    expect([begun, ended]).toEqual([8, 8]);
    const left = await counts();
    expect([left.waiting, left.active]).toEqual([12, 0]);
  });

  test('publishing ends with its signal', async () => {
    const worker = await backend.worker();
    const reason = new Error('enough');
    await expect(worker.publish(aBatch(1, 1), AbortSignal.abort(reason))).rejects.toBe(reason);
  });
});
