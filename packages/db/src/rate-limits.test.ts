import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';

let db: MigratedDatabase;
const HOUR = 3_600_000;

beforeAll(async () => {
  db = await openMigratedDatabase();
});

afterAll(async () => {
  await db.close();
});

test('of hits at the same moment exactly the limit is allowed', async () => {
  const hits = await Promise.all(
    Array.from({ length: 25 }, () => db.rateLimits.hit('restore', 'u', 10, HOUR)),
  );
  expect(hits.filter((hit) => hit.allowed)).toHaveLength(10);
  expect(
    hits
      .map((hit) => hit.remaining)
      .sort((a, b) => b - a)
      .slice(0, 11),
  ).toEqual([9, 8, 7, 6, 5, 4, 3, 2, 1, 0, 0]);
  expect(new Set(hits.map((hit) => hit.resetAt.getTime())).size).toBe(1);
});

test('each bucket and each subject counts alone', async () => {
  expect(await db.rateLimits.hit('a', 'x', 1, HOUR)).toMatchObject({ allowed: true, remaining: 0 });
  expect(await db.rateLimits.hit('a', 'y', 1, HOUR)).toMatchObject({ allowed: true });
  expect(await db.rateLimits.hit('b', 'x', 1, HOUR)).toMatchObject({ allowed: true });
  expect(await db.rateLimits.hit('a', 'x', 1, HOUR)).toMatchObject({ allowed: false, remaining: 0 });
});

test('when the window has ended, counting starts again', async () => {
  const before = Date.now();
  const first = await db.rateLimits.hit('window', 'x', 1, HOUR);
  expect(first.resetAt.getTime()).toBeGreaterThanOrEqual(before + HOUR - 5_000);
  await db.rateLimits.hit('window', 'x', 1, HOUR);
  const started = new Date(Date.now() - HOUR + 60_000);
  await db.prisma.rateLimit.updateMany({ where: { bucket: 'window' }, data: { windowStart: started } });
  const late = await db.rateLimits.hit('window', 'x', 1, HOUR);
  expect(late).toEqual({ allowed: false, remaining: 0, resetAt: new Date(started.getTime() + HOUR) });
  const past = new Date(Date.now() - HOUR - 1);
  await db.prisma.rateLimit.updateMany({ where: { bucket: 'window' }, data: { windowStart: past } });
  const next = await db.rateLimits.hit('window', 'x', 1, HOUR);
  expect(next).toMatchObject({ allowed: true, remaining: 0 });
  expect(next.resetAt.getTime()).toBeGreaterThan(Date.now());
});

test('a limit that was raised lets more through within the same window', async () => {
  for (let i = 0; i < 20; i += 1) await db.rateLimits.hit('raised', 'x', 2, HOUR);
  expect(await db.rateLimits.hit('raised', 'x', 5, HOUR)).toMatchObject({ allowed: true, remaining: 1 });
});

test('only old counters are purged', async () => {
  await db.rateLimits.hit('old', 'x', 1, HOUR);
  const windowStart = new Date(Date.now() - 8 * 24 * HOUR);
  await db.prisma.rateLimit.updateMany({ where: { bucket: 'old' }, data: { windowStart } });
  await db.rateLimits.hit('young', 'x', 1, HOUR);
  expect(await db.rateLimits.purge()).toBe(1);
  expect(await db.rateLimits.hit('young', 'x', 1, HOUR)).toMatchObject({ allowed: false });
});
