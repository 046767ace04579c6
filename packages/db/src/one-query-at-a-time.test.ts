import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { PrismaPg } from '@prisma/adapter-pg';
import pg from 'pg';
import { v7 } from 'uuid';
import { createBackups } from './backups.ts';
import { PrismaClient } from './generated/client.ts';
import { oneQueryAtATime } from './one-query-at-a-time.ts';
import { destinationDraft, insertBackup } from './testing/drafts.ts';
import { type MigratedDatabase, openMigratedDatabase } from './testing/migrated-database.ts';
import { inTransaction } from './transaction.ts';

let db: MigratedDatabase;
beforeAll(async () => {
  db = await openMigratedDatabase();
});
afterAll(() => db.close());

const query = (sql: string) => ({ sql, args: [], argTypes: [] });

/** A pool that tells how many queries one of its connections had to hold at once. */
function watchedPool() {
  const seen = { most: 0 };
  class Watched extends pg.Client {
    private running = 0;
    // biome-ignore lint/suspicious/noExplicitAny: of the many forms of `query` all are passed on
    override query(...asked: any[]): any {
      this.running += 1;
      seen.most = Math.max(seen.most, this.running);
      // biome-ignore lint/suspicious/noExplicitAny: the same
      const result = (super.query as any)(...asked);
      const end = (): void => {
        this.running -= 1;
      };
      if (result instanceof Promise) result.then(end, end);
      else end();
      return result;
    }
  }
  return { seen, pool: new pg.Pool({ connectionString: db.url, max: 1, Client: Watched }) };
}

test.each([
  ['as Prisma has it, whose relations come all at once', (factory: PrismaPg) => factory, 4],
  ['one at a time', oneQueryAtATime, 1],
] as const)("a transaction's queries, %s", async (_how, wrap, most) => {
  const { seen, pool } = watchedPool();
  const prisma = new PrismaClient({ adapter: wrap(new PrismaPg(pool)) });
  const email = `${v7()}@example.com`;
  const user = await db.users.create({ email, passwordHash: 'x', role: 'admin' });
  const project = await db.projects.create({ name: v7() });
  const destination = await db.destinations.create(destinationDraft());
  const ids = { projectId: project.id, destinationId: destination.id };
  const id = await insertBackup(db.prisma, { ...ids, status: 'completed' });
  await db.prisma.backup.update({ where: { id }, data: { createdBy: user.id } });
  const found = await inTransaction(prisma, (tx) => createBackups(tx).lock(id));
  expect(found).toMatchObject({ id, destination: { id: destination.id } });
  expect(seen.most).toBe(most);
  await prisma.$disconnect();
  await pool.end();
});

test('queries of a transaction that are asked for at once run one after the other, also when one fails', async () => {
  const adapter = await oneQueryAtATime(new PrismaPg({ connectionString: db.url, max: 1 })).connect();
  const transaction = await adapter.startTransaction();
  const order: string[] = [];
  const ask = (name: string, sql: string) =>
    transaction.queryRaw(query(sql)).then(
      ({ rows }) => order.push(`${name} ${rows[0]?.[0]}`),
      () => order.push(`${name} failed`),
    );
  await Promise.all([
    ask('slow', "select 'one' from pg_sleep(0.1)"),
    transaction.executeRaw(query('savepoint here')),
    ask('wrong', 'select nothing from nowhere'),
    transaction.executeRaw(query('rollback to savepoint here')),
    ask('last', "select 'two'"),
  ]);
  expect(order).toEqual(['slow one', 'wrong failed', 'last two']);
  await transaction.executeRaw(query('commit'));
  await transaction.commit();
  await adapter.dispose();
});
