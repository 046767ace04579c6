import type { PostgresTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { pgText } from '../names.ts';
import { homeOf, type PostgresTools } from './tools.ts';

/** A database as its server describes it: what `CREATE DATABASE` has to be told to make another one like it. */
export interface PostgresDatabase {
  name: string;
  owner: string;
  encoding: string;
  collate: string;
  ctype: string;
  /** `c` for libc, `i` for ICU, `b` for built in. */
  provider: string;
  /** Of ICU and built-in locales. */
  locale: string | null;
  /** On disk, in bytes; null where this user may not know. */
  bytes: number | null;
}

export interface PostgresLook {
  version: string;
  /** Whether this user may read the roles' passwords. */
  isSuperuser: boolean;
  databases: PostgresDatabase[];
}

/** What is there to back up. PATH_NOT_FOUND when a database of the service is not. */
export async function lookAtPostgres(tools: PostgresTools, target: PostgresTarget): Promise<PostgresLook> {
  const wanted =
    target.databases === null
      ? 'd.datallowconn AND NOT d.datistemplate'
      : `d.datname IN (${target.databases.map(pgText).join(', ')})`;
  // Columns that only some versions have are looked up in the row as JSON.
  const look = await tools.json<PostgresLook>(
    homeOf(target),
    `SELECT json_build_object(
      'version', current_setting('server_version'),
      'isSuperuser', current_setting('is_superuser') = 'on',
      'databases', (SELECT coalesce(json_agg(json_build_object(
        'name', d.datname,
        'owner', pg_get_userbyid(d.datdba),
        'encoding', pg_encoding_to_char(d.encoding),
        'collate', d.datcollate,
        'ctype', d.datctype,
        'provider', coalesce(to_jsonb(d)->>'datlocprovider', 'c'),
        'locale', coalesce(to_jsonb(d)->>'datlocale', to_jsonb(d)->>'daticulocale'),
        'bytes', CASE WHEN has_database_privilege(d.oid, 'CONNECT') THEN pg_database_size(d.oid) END
      ) ORDER BY d.datname), '[]'::json) FROM pg_database d WHERE ${wanted}))`,
  );
  const missing = (target.databases ?? []).filter((name) => !look.databases.some((one) => one.name === name));
  if (missing.length > 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `There is no database ${missing.join(', ')} on the server. Correct the service's list of databases.`,
    );
  }
  return look;
}
