import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createQueueProducer, type QueueProducer } from '@tarfleet/queue';
import { testRedisUrl } from '@tarfleet/testbed';
import { cancelJob } from './cancel.ts';
import { planBackup } from './planner/backup.ts';
import { openRunFixture, queueThatIsDown, type RunFixture, silent } from './testing/run-fixture.ts';

let t: RunFixture;
let queue: QueueProducer;
beforeAll(async () => {
  t = await openRunFixture();
  queue = await createQueueProducer({ url: testRedisUrl(), logger: silent });
});
afterAll(async () => {
  await queue.close();
  await t.close();
});

const plan = async (...ids: string[]) => planBackup(t, t.request({ services: ids }));

test('a run is stored and sent; while the queue is down it is stored and sent later', async () => {
  const one = await plan((await t.addService(t.server.id)).id);
  await t.dispatcherOn(queue).submit(one);
  expect(await t.db.jobs.get(one.root.id)).toMatchObject({ state: 'queued', dispatchedAt: expect.any(Date) });
  expect(await queue.state({ jobId: one.root.id, pool: 'default', kind: 'backup' })).toEqual({
    state: 'waiting-children',
  });
  const two = await plan((await t.addService(t.server.id)).id);
  await t.dispatcherOn(queueThatIsDown()).submit(two);
  const stored = (await t.db.jobs.get(two.root.id))!;
  expect(stored).toMatchObject({ state: 'queued', dispatchedAt: null });
  await expect(t.dispatcherOn(queueThatIsDown()).send(stored)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect((await t.db.jobs.get(two.root.id))!.dispatchedAt).toBe(null);
  await t.dispatcherOn(queue).send(stored);
  expect((await t.db.jobs.get(two.root.id))!.dispatchedAt).not.toBe(null);
});

test('a service in use undoes the whole run', async () => {
  const [busy, free] = [await t.addService(t.server.id), await t.addService(t.server.id)];
  const first = await plan(busy.id);
  await t.dispatcherOn(queue).submit(first);
  const second = await plan(free.id, busy.id);
  await expect(t.dispatcherOn(queue).submit(second)).rejects.toMatchObject({
    ...{ code: 'BACKUP_IN_PROGRESS', details: { job_id: first.root.id, service_id: busy.id } },
  });
  expect(await t.db.jobs.get(second.root.id)).toBe(null);
  expect(await t.db.backups.get(second.root.id)).toBe(null);
  const third = await plan(free.id);
  await t.dispatcherOn(queue).submit({ ...third, root: { ...third.root, kind: 'restore' }, children: [] });
  await expect(t.dispatcherOn(queue).submit(await plan(free.id))).rejects.toMatchObject({
    code: 'RESTORE_IN_PROGRESS',
  });
});

test('what no worker has begun is cancelled at once, by its artifact too, and is free again', async () => {
  const service = await t.addService(t.server.id);
  const draft = await plan(service.id);
  await t.dispatcherOn(queue).submit(draft);
  const child = (await t.db.jobs.get(draft.children[0]!.id))!;
  const ended: string[] = [];
  const options = {
    db: t.db,
    queue,
    logger: silent,
    sweepGraceMs: 0,
    onEnded: ({ id }: { id: string }) => void ended.push(id),
  };
  expect(await cancelJob(options, child, 'no')).toMatchObject({ id: draft.root.id, state: 'cancelled' });
  expect((await t.db.jobs.get(child.id))!.state).toBe('cancelled');
  expect(await t.db.backups.get(draft.root.id)).toMatchObject({ status: 'cancelled' });
  expect(ended).toEqual([draft.root.id]);
  expect(await queue.state({ jobId: draft.root.id, pool: 'default', kind: 'backup' })).toEqual({
    state: 'missing',
  });
  await t.dispatcherOn(queue).submit(await plan(service.id));
});
