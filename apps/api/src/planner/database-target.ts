import {
  type DatabaseTarget,
  isDatabaseType,
  type RowsTable,
  type RowsTarget,
  type ServiceHooks,
} from '@tarfleet/contracts';
import type { ServerRecord, ServiceRecord } from '@tarfleet/db';
import { readHooks } from '../routes/services/check-hooks.ts';
import {
  type DatabaseSettings,
  infoOf,
  passwordAgain,
  readDatabase,
  readPassword,
  toSettings,
} from '../routes/services/database-settings.ts';

const HOOK_SECONDS = 60;

/**
 * A service's database as a worker sees it, its password still sealed; undefined for services of files.
 * CREDENTIALS_REQUIRED when the password is bound to where the server was before.
 */
export function toDatabaseTarget(service: ServiceRecord, server: ServerRecord): DatabaseTarget | undefined {
  const { type, name } = service;
  if (!isDatabaseType(type)) return undefined;
  const stored = readDatabase(service) ?? toSettings({});
  const password = readPassword(service);
  if (password && (password.info !== infoOf(server, type, stored) || password.pool !== server.pool)) {
    throw passwordAgain(name);
  }
  const tools = { runAs: stored.run_as, binDir: stored.bin_dir };
  if (type === 'sqlite') return { type, ...tools, path: stored.path ?? '' };
  const { host, port, username } = stored;
  const connection = { host, port, user: username, secrets: password?.box ?? null };
  if (type === 'redis') return { type, ...tools, ...connection };
  if (type === 'rows') return { type, ...tools, ...connection, ...toRows(stored, server) };
  const selection = {
    databases: stored.databases,
    schemaOnly: stored.schema_only ?? false,
    includeTables: stored.include_tables ?? [],
    excludeTables: stored.exclude_tables ?? [],
  };
  if (type === 'mysql') return { type, ...tools, ...connection, ...selection };
  return { type, ...tools, ...connection, ...selection, roles: stored.roles ?? true };
}

const TENANT_COLUMN = 'project_id';

/** Which rows; as the settings are checked, all of it is there. */
function toRows(
  { databases, rows }: DatabaseSettings,
  server: ServerRecord,
): Pick<RowsTarget, 'database' | 'rows'> {
  const tables = (rows?.tables ?? []).map((table): RowsTable => {
    const through = table.through ?? null;
    const tenantColumn = table.tenant_column ?? rows?.tenant_column ?? TENANT_COLUMN;
    return {
      ...{ schema: table.schema ?? 'public', name: table.name, through },
      ...{ tenantColumn: through === null ? tenantColumn : null, key: table.key ?? null },
      references: Object.entries(table.references ?? {}).map(([column, to]) => {
        const [other = '', target = ''] = to.split('.');
        return { column, table: other, target };
      }),
      generated: table.generated ?? [],
    };
  });
  return {
    database: databases?.[0] ?? '',
    rows: { tenant: String(rows?.tenant ?? server.projectId), tables },
  };
}

/** The commands around a service's backups; undefined where there are none. */
export function toHooks(service: ServiceRecord): ServiceHooks | undefined {
  const hooks = readHooks(service);
  if (!hooks?.before && !hooks?.after) return undefined;
  const limited = (hook: typeof hooks.before) =>
    hook ? { argv: hook.command, seconds: hook.timeout_seconds ?? HOOK_SECONDS } : null;
  return { before: limited(hooks.before), after: limited(hooks.after) };
}
