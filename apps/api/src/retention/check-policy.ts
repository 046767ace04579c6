import type { RetentionPolicy } from '@tarfleet/contracts';
import { invalid } from '../plugins/faults.ts';
import { isTimezone } from './bucket.ts';

/** VALIDATION_FAILED for what the schema of a policy cannot say. `path` is where it stands in the request. */
export function checkPolicy(policy: RetentionPolicy, path: string): void {
  if (policy.timezone !== undefined && !isTimezone(policy.timezone)) {
    throw invalid([
      { path: `${path}/timezone`, message: 'must be a time zone’s name, such as Europe/Berlin' },
    ]);
  }
}
