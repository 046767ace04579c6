import type { ClaimedDelivery, Database } from '@tarfleet/db';
import type { Logger } from '@tarfleet/kernel';
import type { Outcome } from './outcome.ts';
import { pauseAfter } from './pauses.ts';
import { TEST_EVENT } from './payload.ts';
import type { Send } from './send.ts';

export interface DelivererOptions {
  db: Pick<Database, 'deliveries' | 'webhooks' | 'transaction'>;
  logger: Logger;
  send: Send;
  /** Between two looks for what is due, in milliseconds. */
  everyMs: number;
  /** After that a try counts as dead, in milliseconds: longer than any try takes. */
  claimMs: number;
  /** Before each further try, in seconds. */
  pauses: readonly number[];
  /** After each try. */
  onTried?(delivery: ClaimedDelivery, outcome: Outcome): void;
}

export interface Deliverer {
  /** Takes no more, and gives what is in hand some seconds to end; what does not is given back. */
  stop(): Promise<void>;
}

/** So many tries at once in one process, and so many of them in one lane. */
const AT_ONCE = 8;
const IN_LANE = 2;
const GRACE_MS = 12_000;

/**
 * Sends what the outbox holds. Every process runs it; what one has claimed no other takes, and when it dies the claim
 * ends by itself, so each delivery is tried until it has succeeded or its tries are used up: once at least.
 */
export function startDeliverer(options: DelivererOptions): Deliverer {
  const { db, logger } = options;
  const stopped = new AbortController();
  const cut = new AbortController();
  const inHand = new Map<Promise<void>, string>();
  let wake: () => void = () => undefined;

  const pause = (ms: number): Promise<void> =>
    new Promise((resolve) => {
      const timer = setTimeout(resolve, ms);
      wake = () => {
        clearTimeout(timer);
        resolve();
      };
    });
  const busyLanes = (): string[] => {
    const lanes = [...inHand.values()];
    return lanes.filter((lane) => lanes.filter((other) => other === lane).length >= IN_LANE);
  };
  const begin = (claimed: ClaimedDelivery): void => {
    const trying = tryOnce(options, claimed, cut.signal).catch((error: unknown) => {
      // Its claim ends by itself, and then it is tried again.
      logger.warn({ err: error, deliveryId: claimed.id }, 'what became of a delivery is not recorded');
    });
    inHand.set(trying, claimed.lane);
    void trying.then(() => {
      inHand.delete(trying);
      wake();
    });
  };
  const run = async (): Promise<void> => {
    while (!stopped.signal.aborted) {
      try {
        const full = inHand.size >= AT_ONCE;
        const found = full
          ? null
          : await db.deliveries.claim({ busy: busyLanes(), claimMs: options.claimMs });
        if (found && stopped.signal.aborted) await db.deliveries.release(found);
        else if (found) begin(found);
        else await pause(options.everyMs);
      } catch (error) {
        logger.warn({ err: error }, 'deliveries cannot be looked for, it is tried again');
        await pause(Math.max(options.everyMs, 5_000));
      }
    }
  };
  const running = run();
  return {
    async stop() {
      stopped.abort();
      wake();
      await running;
      const late = setTimeout(() => cut.abort(), GRACE_MS);
      await Promise.all(inHand.keys());
      clearTimeout(late);
    },
  };
}

async function tryOnce(
  options: DelivererOptions,
  claimed: ClaimedDelivery,
  signal: AbortSignal,
): Promise<void> {
  const { db, logger, onTried } = options;
  const { id: deliveryId, webhookId, channel, event, attempts, jobId } = claimed;
  const outcome = await options.send(claimed, signal);
  if (outcome.kind === 'stopped') {
    await db.deliveries.release(claimed);
    return;
  }
  const afterMs = outcome.kind === 'retry' ? pauseOf(options, claimed) : null;
  const log = logger.child({
    deliveryId,
    webhookId,
    channel,
    event,
    attempts,
    jobId,
    status: outcome.status,
  });
  if (outcome.kind === 'delivered') {
    await db.deliveries.finish(claimed, { state: 'delivered', status: outcome.status });
    log.info('notification delivered');
  } else if (afterMs !== null) {
    const { status, error } = outcome;
    await db.deliveries.finish(claimed, { state: 'pending', status, error, afterMs });
    log.info({ reason: error, afterMs }, 'notification not delivered, it is tried again');
  } else {
    await giveUp(options, claimed, outcome);
    log.warn({ reason: outcome.error }, 'notification not delivered');
  }
  onTried?.(claimed, outcome);
}

/** A receiver that is gone is told nothing more: its webhook is switched off with this delivery's end. */
async function giveUp(
  { db }: DelivererOptions,
  claimed: ClaimedDelivery,
  { kind, status, error }: Exclude<Outcome, { kind: 'delivered' | 'stopped' }>,
): Promise<void> {
  await db.transaction(async (tx) => {
    const ours = await tx.deliveries.finish(claimed, { state: 'failed', status, error });
    if (!ours || kind !== 'gone' || claimed.webhookId === null) return;
    await tx.webhooks.update(claimed.webhookId, { enabled: false, disabledReason: error });
  });
}

/** A test is for somebody who looks now. */
function pauseOf({ pauses }: DelivererOptions, { event, tries }: ClaimedDelivery): number | null {
  return event === TEST_EVENT ? null : pauseAfter(pauses, tries);
}
