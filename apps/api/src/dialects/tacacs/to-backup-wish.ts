import type { BackupOccasion } from '@tarfleet/db';
import type { ApiConfig } from '../../env.ts';
import type { BackupWish } from '../../routes/backups/start-backup.ts';
import type { TriggerBody } from './execution-schemas.ts';

const LEVEL = 6;

/** Document 5's `trigger` in our one form, defaults included. */
export function toBackupWish(
  body: TriggerBody,
  { BACKUP_ENCRYPTION: encrypt }: Pick<ApiConfig, 'BACKUP_ENCRYPTION'>,
  occasion: BackupOccasion | null = null,
): BackupWish {
  return {
    ...(body.project_id === undefined ? {} : { projectId: body.project_id }),
    ...{ dialect: 'tacacs', type: 'full', name: null, occasion },
    description: body.comment ?? null,
    components: body.components ?? null,
    services: null,
    serverId: body.server_id ?? null,
    destinationId: body.destination_id ?? null,
    copyTo: body.copy_to ?? [],
    retentionDays: body.retention_days ?? null,
    verify: true,
    compression: { enabled: true, level: LEVEL },
    deduplicate: false,
    encrypt: body.encrypt ?? encrypt,
    warnings: [],
  };
}
