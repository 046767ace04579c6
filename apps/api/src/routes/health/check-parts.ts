import { setTimeout as sleep } from 'node:timers/promises';
import type { Logger } from '@tarfleet/kernel';
import type { AppDeps } from '../../deps.ts';

const LIMIT_MS = 3_000;

export interface Parts {
  database: 'up' | 'down';
  queue: 'up' | 'down';
}

/** Asks both at once and waits three seconds at most. */
export async function checkParts(
  deps: Pick<AppDeps, 'db' | 'queue'>,
  log: Pick<Logger, 'warn'>,
): Promise<Parts> {
  const [database, queue] = await Promise.all([
    answers('database', () => deps.db.ping(), log),
    answers('queue', () => deps.queue.ping(), log),
  ]);
  return { database, queue };
}

async function answers(
  part: string,
  ping: () => Promise<void>,
  log: Pick<Logger, 'warn'>,
): Promise<'up' | 'down'> {
  const timer = new AbortController();
  try {
    const late = sleep(LIMIT_MS, undefined, { signal: timer.signal }).then(() => {
      throw new Error(`no answer within ${LIMIT_MS} ms`);
    });
    await Promise.race([ping(), late]);
    return 'up';
  } catch (error) {
    log.warn({ err: error, part }, 'not ready');
    return 'down';
  } finally {
    timer.abort();
  }
}
