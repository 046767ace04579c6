import { createHash, randomUUID } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AppError } from '@tarfleet/kernel';
import pg from 'pg';
import { translateError } from './translate-error.ts';

/** The key that Prisma's own migration commands lock, so that they and this never run side by side. */
const LOCK_KEY = 72707369;

/** As Prisma's schema engine makes it. */
const MIGRATIONS_TABLE = `
  CREATE TABLE IF NOT EXISTS _prisma_migrations (
    id                  VARCHAR(36) PRIMARY KEY NOT NULL,
    checksum            VARCHAR(64) NOT NULL,
    finished_at         TIMESTAMPTZ,
    migration_name      VARCHAR(255) NOT NULL,
    logs                TEXT,
    rolled_back_at      TIMESTAMPTZ,
    started_at          TIMESTAMPTZ NOT NULL DEFAULT now(),
    applied_steps_count INTEGER NOT NULL DEFAULT 0
  )`;

interface Migration {
  name: string;
  sql: string;
  checksum: string;
}

/**
 * Brings a database to the newest schema: applies the migrations it lacks, in order, each in a transaction
 * together with its record. Keeps `_prisma_migrations` as `prisma migrate deploy` does, so either may follow the
 * other. Safe when several processes start at once. Returns the names of those applied now.
 *
 * Rejects with CONFLICT, and changes nothing, when an applied migration differs from its file, failed half-way,
 * or is unknown (the database belongs to a newer version); with UNAVAILABLE when the server does not answer.
 */
export async function migrateDatabase(url: string, dir = migrationsDir()): Promise<string[]> {
  const migrations = await readMigrations(dir);
  const client = new pg.Client({ connectionString: url, connectionTimeoutMillis: 10_000 });
  // A connection that breaks makes the query in hand fail too; that one is reported.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('SELECT pg_advisory_lock($1)', [LOCK_KEY]);
    await client.query(MIGRATIONS_TABLE);
    const applied = await readApplied(client);
    checkHistory(migrations, applied);
    const names: string[] = [];
    for (const migration of migrations) {
      if (applied.has(migration.name)) continue;
      await apply(client, migration);
      names.push(migration.name);
    }
    return names;
  } catch (error) {
    throw translateError(error);
  } finally {
    // Ends the session, and its lock with it.
    await client.end();
  }
}

/** Where the migrations lie in the repository. */
export function migrationsDir(): string {
  return join(import.meta.dirname, '../../../prisma/migrations');
}

async function readMigrations(dir: string): Promise<Migration[]> {
  const entries = await readdir(dir, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const content = await readFile(join(dir, name, 'migration.sql'));
      const checksum = createHash('sha256').update(content).digest('hex');
      return { name, sql: content.toString('utf8'), checksum };
    }),
  );
}

async function readApplied(client: pg.Client): Promise<Map<string, { checksum: string; finished: boolean }>> {
  const { rows } = await client.query<{ migration_name: string; checksum: string; finished: boolean }>(
    `SELECT migration_name, checksum, finished_at IS NOT NULL AS finished
     FROM _prisma_migrations WHERE rolled_back_at IS NULL ORDER BY started_at`,
  );
  return new Map(rows.map((row) => [row.migration_name, row]));
}

function checkHistory(
  migrations: Migration[],
  applied: Map<string, { checksum: string; finished: boolean }>,
): void {
  const known = new Map(migrations.map((migration) => [migration.name, migration]));
  for (const [name, { checksum, finished }] of applied) {
    const migration = known.get(name);
    if (!migration) {
      throw new AppError(
        'CONFLICT',
        `The database has the migration ${name}, which this version does not know: run the version that made it, or a newer one.`,
      );
    }
    if (!finished) {
      throw new AppError(
        'CONFLICT',
        `The migration ${name} failed half-way; repair the database, then mark it with \`prisma migrate resolve\`.`,
      );
    }
    if (checksum !== migration.checksum) {
      throw new AppError(
        'CONFLICT',
        `The migration ${name} was changed after it was applied; put its file back and make a new migration instead.`,
      );
    }
  }
}

async function apply(client: pg.Client, migration: Migration): Promise<void> {
  await client.query('BEGIN');
  try {
    await client.query(
      'INSERT INTO _prisma_migrations (id, checksum, migration_name, started_at) VALUES ($1, $2, $3, clock_timestamp())',
      [randomUUID(), migration.checksum, migration.name],
    );
    await client.query(migration.sql);
    await client.query(
      'UPDATE _prisma_migrations SET finished_at = clock_timestamp(), applied_steps_count = 1 WHERE migration_name = $1 AND finished_at IS NULL AND rolled_back_at IS NULL',
      [migration.name],
    );
    await client.query('COMMIT');
  } catch (error) {
    // After a broken connection there is nothing left to undo; the first error is the one that counts.
    await client.query('ROLLBACK').catch(() => undefined);
    const translated = translateError(error);
    if (translated instanceof AppError && translated.retryable) throw translated;
    const reason = error instanceof Error ? error.message : String(error);
    throw new AppError('INTERNAL', `The migration ${migration.name} failed: ${reason}`, { cause: error });
  }
}
