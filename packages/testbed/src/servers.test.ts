import { expect, test } from '@jest/globals';
import pg from 'pg';
import { createTestDatabase } from './servers.ts';

test('a test database is empty and its own', async () => {
  const database = await createTestDatabase();
  const client = new pg.Client({ connectionString: database.url });
  await client.connect();
  const found = await client.query("select count(*)::int as n from pg_tables where schemaname = 'public'");
  await client.end();
  await database.drop();
  expect(found.rows).toEqual([{ n: 0 }]);
});
