import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createDatabase, type Database } from './database.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';
import { inTransaction } from './transaction.ts';

let own: MigratedDatabase;
let db: Database;

beforeAll(async () => {
  own = await openMigratedDatabase();
  db = createDatabase({ url: own.url, poolSize: 4 });
});

afterAll(async () => {
  await db.close();
  await own.close();
});

test('a rejected transaction undoes what every repository in it did', async () => {
  const work = db.transaction(async (tx) => {
    await tx.projects.create({ name: 'undone' });
    await tx.users.create({ email: 'undone@example.com', passwordHash: 'x', role: 'viewer' });
    throw new Error('changed my mind');
  });
  await expect(work).rejects.toThrow('changed my mind');
  expect(await db.users.findByEmail('undone@example.com')).toBeNull();
  expect((await db.projects.list({ scope: 'all', page: 1, perPage: 10 })).total).toBe(0);
});

test('a repository with a transaction of its own joins the one around it', async () => {
  const user = await db.users.create({ email: 'joined@example.com', passwordHash: 'x', role: 'viewer' });
  const work = db.transaction(async (tx) => {
    await tx.users.update(user.id, { role: 'operator' });
    await tx.users.delete(user.id);
    throw new Error('undo');
  });
  await expect(work).rejects.toThrow('undo');
  expect(await db.users.get(user.id)).toEqual(user);
});

test('a transaction that loses a deadlock runs again', async () => {
  const [a, b] = await Promise.all(
    ['a', 'b'].map((name) => db.projects.create({ name: `deadlock-${name}` })),
  );
  let runs = 0;
  let meet: () => void = () => undefined;
  const bothHold = new Promise<void>((resolve) => {
    meet = resolve;
  });
  const swap = (first: number, second: number): Promise<void> =>
    inTransaction(own.prisma, async (tx) => {
      runs += 1;
      await tx.project.update({ where: { id: first }, data: { createdAt: new Date() } });
      if (runs >= 2) meet();
      await bothHold;
      await tx.project.update({ where: { id: second }, data: { createdAt: new Date() } });
    });
  await Promise.all([swap(a!.id, b!.id), swap(b!.id, a!.id)]);
  // The one that lost may meet the other once more before that has ended.
  expect(runs).toBeGreaterThanOrEqual(3);
});

test('times are right whatever zone the server prefers', async () => {
  await own.prisma.$executeRawUnsafe(
    `ALTER DATABASE "${new URL(own.url).pathname.slice(1)}" SET timezone = 'Asia/Kathmandu'`,
  );
  const other = createDatabase({ url: own.url });
  const before = Date.now();
  const project = await other.projects.create({ name: 'zone' });
  expect(Math.abs(project.createdAt.getTime() - before)).toBeLessThan(600_000);
  const hit = await other.rateLimits.hit('zone', 'x', 1, 1_000);
  expect(Math.abs(hit.resetAt.getTime() - before)).toBeLessThan(600_000);
  // Written by the server's clock, read by the client; and the other way round.
  const [row] = await own.prisma.$queryRaw<{ away: number }[]>`
    SELECT abs(extract(epoch FROM now() - created_at))::float AS away FROM projects WHERE id = ${project.id}`;
  expect(row!.away).toBeLessThan(600);
  await other.close();
});

test('connections that break are replaced', async () => {
  await db.ping();
  await own.prisma.$executeRaw`
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid()`;
  // Each connection of the pool may be met once before its end has been noticed.
  for (let broken = 0; broken < 10; broken += 1) await db.ping().catch(() => undefined);
  await db.ping();
  expect(await db.users.count()).toBeGreaterThanOrEqual(0);
});
