import type { DestinationType } from '@tarfleet/contracts';
import type { DestinationRecord } from '@tarfleet/db';
import { toShown } from './config.ts';

/** Everything but the credentials. */
export function destinationView(destination: DestinationRecord) {
  return {
    id: destination.id,
    name: destination.name,
    type: destination.type as DestinationType,
    config: toShown(destination.config),
    has_credentials: destination.secretCiphertext !== null,
    retention_days: destination.retentionDays,
    retention: destination.retention,
    capacity_bytes: destination.capacityBytes,
    is_default: destination.isDefault,
    enabled: destination.enabled,
    created_at: destination.createdAt.toISOString(),
    updated_at: destination.updatedAt.toISOString(),
  };
}
