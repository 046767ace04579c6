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
  /** How many connections it takes; -1: any number. */
  limit: number;
  /** Of the database itself, for everybody (`role` null) or for one role; `value` as SQL. */
  settings: { role: string | null; name: string; value: string }[];
  /** Null: as they are without a word. `grantee` null: everybody. */
  privileges: { grantee: string | null; privilege: string; grantable: boolean }[] | null;
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
        'limit', d.datconnlimit,
        'settings', (SELECT coalesce(json_agg(json_build_object(
            'role', r.rolname,
            'name', split_part(c.setting, '=', 1),
            'value', CASE WHEN split_part(c.setting, '=', 1) = ANY (ARRAY['search_path', 'temp_tablespaces',
                'local_preload_libraries', 'session_preload_libraries', 'shared_preload_libraries', 'unix_socket_directories'])
              THEN nullif(substr(c.setting, strpos(c.setting, '=') + 1), '')
              ELSE quote_literal(substr(c.setting, strpos(c.setting, '=') + 1)) END)), '[]'::json)
          FROM pg_db_role_setting s
          CROSS JOIN LATERAL unnest(s.setconfig) AS c (setting)
          LEFT JOIN pg_roles r ON r.oid = s.setrole
          WHERE s.setdatabase = d.oid),
        'privileges', CASE WHEN d.datacl IS NOT NULL THEN (SELECT coalesce(json_agg(json_build_object(
            'grantee', r.rolname, 'privilege', a.privilege_type, 'grantable', a.is_grantable)), '[]'::json)
          FROM aclexplode(d.datacl) a LEFT JOIN pg_roles r ON r.oid = a.grantee) END,
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
