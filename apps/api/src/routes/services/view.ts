import { isDatabaseType, type ServiceType } from '@tarfleet/contracts';
import type { ServiceRecord } from '@tarfleet/db';
import { readHooks } from './check-hooks.ts';
import { readDatabase, readPassword } from './database-settings.ts';
import { readRun } from './run-settings.ts';

export function serviceView(service: ServiceRecord) {
  return {
    id: service.id,
    server_id: service.serverId,
    name: service.name,
    type: service.type as ServiceType,
    component: service.component,
    config_paths: service.configPaths,
    data_paths: service.dataPaths,
    exclude: service.exclude,
    backup_priority: service.backupPriority,
    depends_on: service.dependsOn,
    ...readRun(service.settings),
    hooks: readHooks(service),
    database: viewDatabase(service),
    created_at: service.createdAt.toISOString(),
    updated_at: service.updatedAt.toISOString(),
  };
}

/** All but the password. */
function viewDatabase(service: ServiceRecord) {
  const database = readDatabase(service);
  if (!isDatabaseType(service.type)) return null;
  return {
    host: database?.host ?? null,
    port: database?.port ?? null,
    username: database?.username ?? null,
    has_password: readPassword(service) !== null,
    databases: database?.databases ?? null,
    schema_only: database?.schema_only ?? false,
    include_tables: database?.include_tables ?? [],
    exclude_tables: database?.exclude_tables ?? [],
    rows: database?.rows ?? null,
    roles: service.type === 'postgres' && (database?.roles ?? true),
    path: database?.path ?? null,
    run_as: database?.run_as ?? null,
    bin_dir: database?.bin_dir ?? null,
  };
}
