import { randomBytes } from 'node:crypto';
import pg from 'pg';

/** The servers that `pnpm test` started; a test that runs without it says so. */
function address(name: string): string {
  const value = process.env[name];
  if (!value) throw new Error(`${name} is not set: run the tests with \`pnpm test [file]\`.`);
  return value;
}

export interface TestDatabase {
  url: string;
  /** Drops it, connections included. */
  drop(): Promise<void>;
}

/** A new, empty database on the shared test server. */
export async function createTestDatabase(): Promise<TestDatabase> {
  const admin = address('TEST_POSTGRES_URL');
  const name = `t_${randomBytes(6).toString('hex')}`;
  const run = async (sql: string): Promise<void> => {
    const client = new pg.Client({ connectionString: admin });
    await client.connect();
    try {
      await client.query(sql);
    } finally {
      await client.end();
    }
  };
  await run(`create database ${name}`);
  const url = new URL(admin);
  url.pathname = `/${name}`;
  return { url: url.href, drop: () => run(`drop database if exists ${name} with (force)`) };
}

/** A numbered database of the shared test redis, chosen at random; tests must also use random names. */
export function testRedisUrl(): string {
  const database = 1 + ((randomBytes(1)[0] ?? 0) % 60);
  return `${address('TEST_REDIS_URL').replace(/\/\d+$/, '')}/${database}`;
}
