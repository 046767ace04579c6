/** What a plan says of a database that is backed up by its own tools, and what its backup found. */
import { type Static, Type } from 'typebox';
import { RowsSelection } from './rows.ts';
import { SealedBox } from './sealed.ts';

const closed = { additionalProperties: false } as const;
const orNull = <T extends Parameters<typeof Type.Union>[0][number]>(schema: T) =>
  Type.Union([schema, Type.Null()]);

export const DATABASE_TYPES = ['postgres', 'mysql', 'sqlite', 'redis', 'rows'] as const;
export type DatabaseType = (typeof DATABASE_TYPES)[number];

export function isDatabaseType(type: string): type is DatabaseType {
  return (DATABASE_TYPES as readonly string[]).includes(type);
}

const tools = {
  /** The operating system's user who runs the tools; null: whoever the session is. */
  runAs: orNull(Type.String({ pattern: '^[A-Za-z_][A-Za-z0-9_.-]*\\$?$' })),
  /** The folder that the tools lie in; null: they are found by name. */
  binDir: orNull(Type.String({ pattern: '^/' })),
};
const connection = {
  /** As the server sees it: a host, or the absolute path of a socket (for postgres: of its folder); null: the tools' own default. */
  host: orNull(Type.String({ minLength: 1 })),
  port: orNull(Type.Integer({ minimum: 1, maximum: 65535 })),
  user: orNull(Type.String({ minLength: 1 })),
  /** A `DatabaseSecrets`, for the pool; null: there is no password. */
  secrets: orNull(SealedBox),
};
const selection = {
  /** By name; null: all that are there. */
  databases: orNull(Type.Array(Type.String({ minLength: 1 }), { minItems: 1 })),
  schemaOnly: Type.Boolean(),
  /** As the engine's dump tool names tables; none: all. */
  includeTables: Type.Array(Type.String({ minLength: 1 })),
  excludeTables: Type.Array(Type.String({ minLength: 1 })),
};

export const PostgresTarget = Type.Object(
  { type: Type.Literal('postgres'), ...connection, ...tools, ...selection, roles: Type.Boolean() },
  closed,
);
export type PostgresTarget = Static<typeof PostgresTarget>;

export const MysqlTarget = Type.Object(
  { type: Type.Literal('mysql'), ...connection, ...tools, ...selection },
  closed,
);
export type MysqlTarget = Static<typeof MysqlTarget>;

export const SqliteTarget = Type.Object(
  { type: Type.Literal('sqlite'), path: Type.String({ pattern: '^/' }), ...tools },
  closed,
);
export type SqliteTarget = Static<typeof SqliteTarget>;

export const RedisTarget = Type.Object({ type: Type.Literal('redis'), ...connection, ...tools }, closed);
export type RedisTarget = Static<typeof RedisTarget>;

/** The rows of one tenant out of one postgres database that many share. */
export const RowsTarget = Type.Object(
  {
    type: Type.Literal('rows'),
    ...connection,
    ...tools,
    database: Type.String({ minLength: 1 }),
    rows: RowsSelection,
  },
  closed,
);
export type RowsTarget = Static<typeof RowsTarget>;

export const DatabaseTarget = Type.Union([
  PostgresTarget,
  MysqlTarget,
  SqliteTarget,
  RedisTarget,
  RowsTarget,
]);
export type DatabaseTarget = Static<typeof DatabaseTarget>;

export const BACKUP_METHODS = [
  'pg_dump',
  'mysqldump',
  'mariadb-dump',
  'sqlite3_backup',
  'redis_rdb',
  'psql_copy',
  /** Of no database of a server's, but of the project's own records. */
  'project_records',
] as const;
export type BackupMethod = (typeof BACKUP_METHODS)[number];

const Count = Type.Integer({ minimum: 0 });

/** What a backup of a database holds, as its own dump says. */
export const DatabaseFacts = Type.Object(
  {
    method: Type.Enum([...BACKUP_METHODS]),
    serverVersion: Type.String(),
    /** The databases, by name; of sqlite, the path of its file; of redis, none. */
    databases: Type.Array(Type.String()),
    /** Null where that is not known, or there is no such thing. */
    tables: orNull(Count),
    records: orNull(Count),
    /** Of rows alone: whose they are. */
    tenant: Type.Optional(Type.String()),
  },
  closed,
);
export type DatabaseFacts = Static<typeof DatabaseFacts>;
