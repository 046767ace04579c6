import { isDatabaseType, type SealedBox, type ServiceType } from '@tarfleet/contracts';
import type { ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { databaseSecretsInfo } from '@tarfleet/vault';
import type { Fault } from '../../plugins/faults.ts';
import { plainPathFault } from '../plain-path.ts';
import { checkRows } from './check-rows.ts';
import type { DatabaseBody } from './database-schemas.ts';

/** What is stored of a database, beside its password. */
export type DatabaseSettings = {
  [K in keyof Omit<DatabaseBody, 'password'>]-?: NonNullable<DatabaseBody[K]> | null;
};

/** A password, closed for one pool, and what it is bound to. */
export interface SealedPassword {
  box: SealedBox;
  pool: string;
  /** HPKE's info: names the server, the database's address and its user. */
  info: string;
}

type Field = keyof DatabaseSettings;
const CONNECTION: Field[] = ['host', 'port', 'username'];
const SELECTION: Field[] = ['databases', 'schema_only', 'include_tables', 'exclude_tables'];
const TOOLS: Field[] = ['run_as', 'bin_dir'];
const FIELDS: Record<string, Field[]> = {
  postgres: [...CONNECTION, ...SELECTION, ...TOOLS, 'roles'],
  mysql: [...CONNECTION, ...SELECTION, ...TOOLS],
  sqlite: ['path', ...TOOLS],
  redis: [...CONNECTION, ...TOOLS],
  rows: [...CONNECTION, 'databases', 'rows', ...TOOLS],
};
const ALL: Field[] = [...CONNECTION, ...SELECTION, ...TOOLS, 'roles', 'rows', 'path'];

/** What is stored was checked before. */
export function readDatabase({ settings }: Pick<ServiceRecord, 'settings'>): DatabaseSettings | null {
  return (settings.database as DatabaseSettings | undefined) ?? null;
}

export function readPassword({ settings }: Pick<ServiceRecord, 'settings'>): SealedPassword | null {
  return (settings.databasePassword as SealedPassword | undefined) ?? null;
}

/** As stored: every field named, what was left out as null. */
export function toSettings(body: DatabaseBody): DatabaseSettings {
  return Object.fromEntries(ALL.map((field) => [field, body[field] ?? null])) as unknown as DatabaseSettings;
}

/** What is wrong with the database of a service of this type. */
export function checkDatabase(type: ServiceType, database: DatabaseSettings | null): Fault[] {
  if (!isDatabaseType(type)) {
    return database === null
      ? []
      : [{ path: 'body/database', message: `is not for services of the type ${type}` }];
  }
  const own = FIELDS[type] ?? [];
  const faults: Fault[] = [];
  for (const field of ALL) {
    if (database && database[field] !== null && !own.includes(field)) {
      faults.push({ path: `body/database/${field}`, message: `is not for services of the type ${type}` });
    }
  }
  for (const field of ['path', 'bin_dir', 'host'] as const) {
    const value = database?.[field] ?? null;
    const message = value?.startsWith('/') || field !== 'host' ? value && plainPathFault(value) : undefined;
    if (message) faults.push({ path: `body/database/${field}`, message });
  }
  if (type === 'sqlite' && !database?.path) {
    faults.push({ path: 'body/database/path', message: 'is required for services of the type sqlite' });
  }
  if (type === 'mysql') faults.push(...checkMysqlTables(database));
  if (type === 'rows') faults.push(...checkRows(database));
  return faults;
}

/** mysqldump takes tables by name, not by pattern. */
function checkMysqlTables(database: DatabaseSettings | null): Fault[] {
  return (['include_tables', 'exclude_tables'] as const).flatMap((field) =>
    (database?.[field] ?? []).flatMap((name, at) =>
      /^[^.]+\.[^.]+$/.test(name)
        ? []
        : [{ path: `body/database/${field}/${at}`, message: 'must be a database and a table: shop.orders' }],
    ),
  );
}

/** What a database's password is bound to: where the worker connects to, and as whom. */
export function infoOf(server: ServerRecord, type: string, database: DatabaseSettings): string {
  const { host, port } = server;
  return databaseSecretsInfo({
    ...{ projectId: server.projectId, serverId: server.id, type },
    server: host === null || port === null ? null : { host, port },
    ...{ host: database.host, port: database.port, user: database.username },
  });
}

export function passwordAgain(name?: string): AppError {
  return new AppError(
    'CREDENTIALS_REQUIRED',
    `The database password${name === undefined ? '' : ` of ${name}`} is bound to the server’s host, port and pool and to the database’s host, port and username: give database.password again.`,
  );
}
