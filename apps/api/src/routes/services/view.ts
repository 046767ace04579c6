import type { ServiceType } from '@tarfleet/contracts';
import type { ServiceRecord } from '@tarfleet/db';
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
    database: null,
    created_at: service.createdAt.toISOString(),
    updated_at: service.updatedAt.toISOString(),
  };
}
