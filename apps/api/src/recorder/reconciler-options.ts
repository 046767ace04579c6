import type { Database, JobRecord } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import type { Dispatcher } from '../dispatcher.ts';
import type { PlanKeys } from '../planner/targets.ts';
import type { SettleOptions } from './end.ts';

/** How many of a kind one step of a round deals with. */
export const BATCH = 200;

export interface ReconcilerOptions extends SettleOptions {
  db: Database;
  queue: QueueProducer;
  dispatcher: Dispatcher;
  keys: PlanKeys;
  logger: Logger;
  /** Between two rounds, in milliseconds. */
  everyMs: number;
  /** How long a job may go unchecked, and an end unrecorded, before the queue is asked, in milliseconds. */
  patienceMs: number;
  /** How long a test of a destination waits for a worker at most, in milliseconds. */
  testWaitsMs: number;
  /** Between two looks for backups that nothing keeps any more, in milliseconds; 0: never. */
  retentionEveryMs: number;
  /** Between two looks through each destination for what belongs to no backup, in milliseconds; 0: never. */
  surveyEveryMs: number;
  onEnded(job: JobRecord): void;
}

/** One job that cannot be dealt with must not stand in the way of the rest; a queue or database that is down does. */
export async function forEach<T extends { id: string }>(
  { logger }: ReconcilerOptions,
  items: T[],
  action: (item: T) => Promise<void>,
): Promise<void> {
  for (const item of items) {
    try {
      await action(item);
    } catch (error) {
      if (error instanceof AppError && error.code === 'UNAVAILABLE') throw error;
      logger.warn({ err: error, id: item.id }, 'reconciler leaves one out, it tries again');
    }
  }
}
