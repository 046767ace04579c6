import { createHash } from 'node:crypto';
import { createParser, type FleetMessage, PoolName } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { JobRef } from './types.ts';

/** Messages of all workers to the recorders. */
export const MESSAGES_QUEUE = 'tf.events';
/** Records of cancels. Nobody consumes it: workers list it. */
export const CANCELS_QUEUE = 'tf.cancels';
/**
 * Before every key in Redis. The braces keep all queues in one slot of a Cluster: a flow spans queues and is
 * added in one transaction.
 */
export const KEY_PREFIX = '{tarfleet}';

const parsePool = createParser(PoolName);

/** The queue of one pool's jobs of one kind. A colon is not allowed in it, a dot is not allowed in a pool's name. */
export function queueName(ref: Pick<JobRef, 'pool' | 'kind'>): string {
  if (!parsePool(ref.pool).ok) {
    throw new AppError(
      'VALIDATION_FAILED',
      `"${ref.pool}" cannot be a pool's name: use lower-case letters, digits and hyphens, at most 40.`,
    );
  }
  return `tf.${ref.pool}.${ref.kind}`;
}

export function cancelId(jobId: string): string {
  return `cancel-${jobId}`;
}

/**
 * Equal for equal messages, so that one sent twice is stored once. Of a batch it covers the last number too:
 * a longer batch that begins alike is another message.
 */
export function messageId(message: FleetMessage): string {
  const identity =
    message.type === 'heartbeat'
      ? [message.workerId, message.at]
      : [
          message.jobId,
          message.attempt,
          message.token,
          message.events[0]?.seq,
          message.events.at(-1)?.seq,
          message.events.length,
        ];
  const digest = createHash('sha256').update(JSON.stringify(identity)).digest('hex');
  return `${message.type}-${digest.slice(0, 40)}`;
}
