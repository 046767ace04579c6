import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import type { DeliveryDraft } from './deliveries.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
let projectId: number;
beforeAll(async () => {
  db = await openMigratedDatabase();
  projectId = (await db.projects.ensureDefault()).id;
});
afterAll(() => db.close());

const CLAIM = { busy: [], claimMs: 60_000 };
const draft = (more: { dedupeKey?: string; lane?: string } = {}): DeliveryDraft & { id: string } => ({
  ...{ id: v7(), projectId, event: 'backup.completed', payload: '{}', channel: 'webhook' },
  ...{ target: 'https://hooks.example.com/x', lane: 'url:hooks.example.com' },
  ...more,
});
const stored = async (more: Parameters<typeof draft>[0] = {}) => {
  const one = draft(more);
  await db.deliveries.add([one]);
  return one.id;
};

test('what is due is taken once, by one of many', async () => {
  const ids = new Set([await stored(), await stored(), await stored()]);
  const taken = await Promise.all(Array.from({ length: 8 }, () => db.deliveries.claim(CLAIM)));
  const got = taken.flatMap((one) => (one ? [one] : []));
  expect(new Set(got.map(({ id }) => id))).toEqual(ids);
  expect(got).toHaveLength(3);
  expect(got[0]).toMatchObject({ attempts: 1, tries: 1, state: 'pending', lane: 'url:hooks.example.com' });
  for (const one of got)
    expect(await db.deliveries.finish(one, { state: 'delivered', status: 200 })).toBe(true);
  expect(await db.deliveries.get(got[0]!.id)).toMatchObject({
    ...{ state: 'delivered', lastStatus: 200, lastError: null, nextAt: null, endedAt: expect.any(Date) },
  });
});

test('a claim that is over goes to the next, and the first has nothing more to say', async () => {
  const id = await stored();
  const first = (await db.deliveries.claim({ busy: [], claimMs: 0 }))!;
  const second = (await db.deliveries.claim(CLAIM))!;
  expect([first.id, second.id, second.attempts]).toEqual([id, id, 2]);
  expect(await db.deliveries.finish(first, { state: 'delivered', status: 200 })).toBe(false);
  expect(await db.deliveries.finish(second, { state: 'failed', status: 500, error: 'e' })).toBe(true);
  expect(await db.deliveries.get(id)).toMatchObject({ state: 'failed', lastStatus: 500, lastError: 'e' });
});

test('one that failed waits for its time, and asking again does not', async () => {
  const id = await stored();
  const first = (await db.deliveries.claim(CLAIM))!;
  expect(await db.deliveries.resend(id)).toBe(false);
  await db.deliveries.finish(first, { state: 'pending', status: null, error: 'e', afterMs: 3_600_000 });
  expect(await db.deliveries.claim(CLAIM)).toBeNull();
  expect(await db.deliveries.resend(id)).toBe(true);
  const again = (await db.deliveries.claim(CLAIM))!;
  expect(again).toMatchObject({ id, attempts: 2, tries: 1 });
  await db.deliveries.release(again);
  expect(await db.deliveries.get(id)).toMatchObject({ attempts: 1, tries: 0, state: 'pending' });
  const last = (await db.deliveries.claim(CLAIM))!;
  await db.deliveries.finish(last, { state: 'delivered', status: 200 });
  expect(await db.deliveries.resend(id)).toBe(true);
  expect(await db.deliveries.get(id)).toMatchObject({ state: 'pending', endedAt: null });
  await db.deliveries.finish((await db.deliveries.claim(CLAIM))!, { state: 'delivered', status: 200 });
});

test('lanes that are busy are left out, and the same event is stored once', async () => {
  const slow = await stored({ lane: 'slow', dedupeKey: 'a' });
  await stored({ lane: 'slow', dedupeKey: 'a' });
  const quick = await stored({ lane: 'quick' });
  const one = (await db.deliveries.claim({ busy: ['slow'], claimMs: 60_000 }))!;
  expect(one.id).toBe(quick);
  const other = (await db.deliveries.claim(CLAIM))!;
  expect(other.id).toBe(slow);
  expect(await db.deliveries.claim(CLAIM)).toBeNull();
  for (const each of [one, other]) await db.deliveries.finish(each, { state: 'delivered', status: null });
});

test('a webhook is told of what it asked for, and takes its deliveries along', async () => {
  const made = { projectId, url: 'https://hooks.example.com/', secretCiphertext: 'x' };
  const webhook = await db.webhooks.create({ ...made, events: ['backup.failed'] });
  expect(await db.webhooks.subscribed(projectId, 'backup.failed')).toEqual([webhook.id]);
  expect(await db.webhooks.subscribed(projectId, 'backup.completed')).toEqual([]);
  await db.webhooks.update(webhook.id, { enabled: false, disabledReason: 'gone' });
  expect(await db.webhooks.subscribed(projectId, 'backup.failed')).toEqual([]);
  const id = v7();
  await db.deliveries.add([
    {
      ...{ id, projectId, event: 'backup.failed', payload: '{}' },
      channel: 'webhook',
      webhookId: webhook.id,
    },
  ]);
  const page = { page: 1, perPage: 10 };
  expect((await db.deliveries.list({ ...page, webhookId: webhook.id })).items.map((one) => one.id)).toEqual([
    id,
  ]);
  expect((await db.deliveries.list({ ...page, webhookId: webhook.id, scope: [] })).total).toBe(0);
  expect(await db.webhooks.delete(webhook.id)).toBe(true);
  expect(await db.deliveries.get(id)).toBeNull();
});

test('what ended long ago goes, what waits stays', async () => {
  const waiting = await stored();
  expect(await db.deliveries.purge(new Date(Date.now() + 60_000))).toBeGreaterThan(0);
  expect(await db.deliveries.get(waiting)).not.toBeNull();
  expect(await db.deliveries.countDue()).toBe(1);
});
