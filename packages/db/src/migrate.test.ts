import { expect, test } from '@jest/globals';
import { createTestDatabase } from '@tarfleet/testbed';
import { createDatabase } from './database.ts';
import { migrateDatabase } from './migrate.ts';

test('an empty database is migrated once, by whoever comes first', async () => {
  const { url, drop } = await createTestDatabase();
  const applied = await Promise.all([migrateDatabase(url), migrateDatabase(url), migrateDatabase(url)]);
  expect(applied.flat()).toEqual(['20260101000000_init']);
  expect(await migrateDatabase(url)).toEqual([]);
  const database = createDatabase({ url });
  await database.ping();
  await database.close();
  await drop();
});
