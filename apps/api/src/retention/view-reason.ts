import type { Reason } from './evaluate.ts';

/** A reason in answers and audit rows. */
export function viewReason(reason: Reason) {
  return {
    rule: reason.rule,
    policy: reason.level,
    bucket: reason.bucket,
    until: reason.until?.toISOString() ?? null,
    message: describeReason(reason),
  };
}

/** In words. */
export function describeReason({ rule, level, bucket, until }: Reason): string {
  const end = until === null ? '' : ` until ${until.toISOString()}`;
  switch (rule) {
    case 'locked':
      return `locked${end}`;
    case 'retention_days':
      return `within its own retention_days,${end}`;
    case 'days':
      return `within the ${level}’s days,${end}`;
    case 'keep_last':
      return `keep_last of the ${level}`;
    case 'keep_newest':
      return 'the newest of its series';
    case 'no_end':
      return 'nothing says when it may go';
    default:
      return `${rule} of the ${level}: the newest of ${bucket}`;
  }
}
