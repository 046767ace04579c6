import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { v7 } from 'uuid';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
let user: string;
const route = 'POST /api/backups/create';
const answer = { status: 202, response: '{"a": 1,\n "ä": "\\u0000"}', headers: { location: '/api/jobs/1' } };

beforeAll(async () => {
  db = await openMigratedDatabase();
  user = (await db.users.create({ email: 'a@example.com', passwordHash: 'x', role: 'viewer' })).id;
});

afterAll(async () => {
  await db.close();
});

async function age(key: string, ms: number): Promise<void> {
  const createdAt = new Date(Date.now() - ms);
  await db.prisma.idempotencyKey.updateMany({ where: { key }, data: { createdAt } });
}

test('of many at once one does the work; later ones get its answer', async () => {
  const key = v7();
  const begun = await Promise.all(
    Array.from({ length: 8 }, () => db.idempotency.begin(user, key, route, 'h')),
  );
  expect(begun.filter((one) => 'fresh' in one)).toEqual([{ fresh: true }]);
  expect(begun.filter((one) => 'inUse' in one)).toHaveLength(7);
  await db.idempotency.finish(user, key, answer);
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ replay: answer });
});

test('the key with another body or on another route is a mismatch, busy or done', async () => {
  const key = v7();
  await db.idempotency.begin(user, key, route, 'h');
  expect(await db.idempotency.begin(user, key, route, 'other')).toEqual({ mismatch: true });
  await db.idempotency.finish(user, key, answer);
  expect(await db.idempotency.begin(user, key, route, 'other')).toEqual({ mismatch: true });
  expect(await db.idempotency.begin(user, key, 'POST /api/servers', 'h')).toEqual({ mismatch: true });
});

test('the same key of another user is another key', async () => {
  const other = (await db.users.create({ email: 'b@example.com', passwordHash: 'x', role: 'viewer' })).id;
  const key = v7();
  await db.idempotency.begin(user, key, route, 'h');
  expect(await db.idempotency.begin(other, key, route, 'h')).toEqual({ fresh: true });
});

test('a later answer takes the place of one that was kept for the time being, and neither is abandoned', async () => {
  const key = v7();
  await db.idempotency.begin(user, key, route, 'h');
  await db.idempotency.finish(user, key, { ...answer, status: 409 });
  await db.idempotency.abandon(user, key);
  await db.idempotency.finish(user, key, answer);
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ replay: answer });
});

test('work that was abandoned, or never ended, may be done again', async () => {
  const key = v7();
  await db.idempotency.begin(user, key, route, 'h');
  await db.idempotency.abandon(user, key);
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ fresh: true });
  await age(key, 90_000);
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ inUse: true });
  await age(key, 121_000);
  expect(await db.idempotency.begin(user, key, route, 'other')).toEqual({ mismatch: true });
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ fresh: true });
});

test('after a day a key is forgotten, answer and all', async () => {
  const key = v7();
  await db.idempotency.begin(user, key, route, 'h');
  await db.idempotency.finish(user, key, answer);
  await db.idempotency.abandon(user, key);
  await age(key, 23 * 3_600_000);
  expect(await db.idempotency.begin(user, key, route, 'h')).toEqual({ replay: answer });
  await age(key, 25 * 3_600_000);
  expect(await db.idempotency.begin(user, key, route, 'another')).toEqual({ fresh: true });
  expect(await db.idempotency.begin(user, key, route, 'another')).toEqual({ inUse: true });
  await age(key, 25 * 3_600_000);
  expect(await db.idempotency.purge()).toBe(1);
});
