import { createHash } from 'node:crypto';

/** Names the series of the backups that hold the same services: those are each other's older and newer ones. */
export function seriesOf(serviceIds: readonly string[]): string {
  return createHash('sha256')
    .update([...serviceIds].sort().join(','))
    .digest('hex');
}
