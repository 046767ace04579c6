import type { ServiceRecord } from '@tarfleet/db';

export function serviceView(service: ServiceRecord) {
  return {
    id: service.id,
    server_id: service.serverId,
    name: service.name,
    type: service.type,
    component: service.component,
    config_paths: service.configPaths,
    data_paths: service.dataPaths,
    exclude: service.exclude,
    backup_priority: service.backupPriority,
    depends_on: service.dependsOn,
    stop: null,
    start: null,
    health_check: null,
    database: null,
    created_at: service.createdAt.toISOString(),
    updated_at: service.updatedAt.toISOString(),
  };
}
