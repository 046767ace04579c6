import { AppError } from '@tarfleet/kernel';
import { pgName, pgText } from '../../names.ts';
import type { PostgresTools } from '../tools.ts';

/** The server's databases: number to name. */
export type Databases = ReadonlyMap<string, string>;

/** From which others are renamed and removed: the one that is to be replaced itself cannot be that. */
export function homeFor(names: readonly string[]): string {
  return names.includes('postgres') ? 'template1' : 'postgres';
}

export async function listDatabases(tools: PostgresTools, home: string): Promise<Databases> {
  const rows = await tools.json<[string, string][]>(
    home,
    `SELECT coalesce(json_agg(json_build_array(oid::text, datname)), '[]'::json) FROM pg_database`,
  );
  return new Map(rows);
}

export function oidOf(databases: Databases, name: string): string | null {
  for (const [oid, one] of databases) if (one === name) return oid;
  return null;
}

/** Statements that end every connection to these databases. */
export function endConnections(names: readonly string[]): string {
  const list = names.map(pgText).join(', ');
  return `SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE datname IN (${list}) AND pid <> pg_backend_pid();\n`;
}

export function allowConnections(name: string, allowed: boolean): string {
  return `ALTER DATABASE ${pgName(name)} WITH ALLOW_CONNECTIONS ${allowed};\n`;
}

/** Removes databases; what is not there is no error. */
export async function dropDatabases(
  tools: PostgresTools,
  home: string,
  names: readonly string[],
): Promise<void> {
  const there = await listDatabases(tools, home);
  for (const name of names) {
    if (oidOf(there, name) === null) continue;
    const statements = `${allowConnections(name, false)}${endConnections([name])}DROP DATABASE IF EXISTS ${pgName(name)};\n`;
    await tools.sql(home, statements);
  }
}

const TRIES = 10;

/**
 * Renames databases, all of them or none. Nobody is let in meanwhile: a connection that slips in between makes it fail,
 * and then it is tried again.
 */
export async function renameDatabases(
  tools: PostgresTools,
  home: string,
  renames: readonly { from: string; to: string }[],
): Promise<void> {
  if (renames.length === 0) return;
  const names = renames.map(({ from }) => from);
  const closing = names.map((name) => allowConnections(name, false)).join('');
  const moving = renames.map(({ from, to }) => `ALTER DATABASE ${pgName(from)} RENAME TO ${pgName(to)};\n`);
  const statements = `${closing}${endConnections(names)}SELECT pg_sleep(0.2);\nBEGIN;\n${moving.join('')}COMMIT;\n`;
  for (let tries = 1; ; tries += 1) {
    try {
      await tools.sql(home, statements);
      return;
    } catch (error) {
      const inUse = error instanceof AppError && /being accessed by other users/.test(error.message);
      if (!inUse || tries >= TRIES) throw error;
    }
  }
}
