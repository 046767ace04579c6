import type { DestinationRecord } from '@tarfleet/db';
import { toShown } from './config.ts';

/** Everything but the credentials. */
export function destinationView(destination: DestinationRecord) {
  return {
    id: destination.id,
    name: destination.name,
    type: destination.type as 'local' | 's3',
    config: toShown(destination.config),
    has_credentials: destination.secretCiphertext !== null,
    retention_days: destination.retentionDays,
    retention: destination.retention,
    capacity_bytes: destination.capacityBytes,
    is_default: destination.isDefault,
    created_at: destination.createdAt.toISOString(),
    updated_at: destination.updatedAt.toISOString(),
  };
}
