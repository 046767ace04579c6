import type { Database, ScheduleRecord } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { Dispatcher } from '../dispatcher.ts';
import type { PlanKeys } from '../planner/targets.ts';
import type { DueTimes } from './due-times.ts';
import { readTiming } from './read-timing.ts';
import { type TickDeps, tick } from './tick.ts';
import { watch } from './watch.ts';

/** How many schedules that are due one look deals with. */
const BATCH = 100;
/** How many of them at once: planning one may wait for a fleet that is just starting. */
const AT_ONCE = 4;
/** What may pass in a moment is given so long before it counts as a failure, in milliseconds. */
const PATIENCE_MS = 60_000;
/** Patterns and zones whose times are kept at hand. */
const KNOWN = 10_000;

export interface SchedulerOptions {
  db: Database;
  keys: PlanKeys;
  dispatcher: Pick<Dispatcher, 'store' | 'sendStored'>;
  logger: Logger;
  /** What time it is; the database's, so that all replicas agree. */
  clock(): Promise<Date>;
  /** Between two looks for schedules that are due, in milliseconds. */
  everyMs: number;
  /** Between two looks for backups that should be there, in milliseconds. */
  watchEveryMs: number;
}

export interface Scheduler {
  /** Waits for the look in hand. */
  stop(): Promise<void>;
}

export interface Looks {
  /** Deals with every schedule that is due. */
  tickAll(): Promise<void>;
  /** Tells of what should have happened. */
  watchAll(): Promise<void>;
}

/** One process's part in the scheduling; every process does it, each step is right when several do it at once. */
export function createLooks(options: Omit<SchedulerOptions, 'everyMs' | 'watchEveryMs'>): Looks {
  const { db, clock, logger } = options;
  const timesOf = rememberTimes();
  /** Since when this process has tried what is still due, by the monotonic clock. */
  const tried = new Map<string, number>();

  const tickOne = async (deps: TickDeps, id: string, now: Date): Promise<void> => {
    const since = tried.get(id) ?? performance.now();
    tried.set(id, since);
    try {
      if (await tick(deps, id, now, performance.now() - since < PATIENCE_MS)) tried.delete(id);
    } catch (error) {
      // One schedule that cannot be dealt with must not stand in the way of the rest; a database that is away does.
      if (error instanceof AppError && error.code === 'UNAVAILABLE') throw error;
      logger.error({ err: error, scheduleId: id }, 'scheduler leaves one out, it tries again');
    }
  };
  return {
    async tickAll() {
      const now = await clock();
      const due = await db.schedules.due(now, BATCH);
      // A queue that is down takes its time to say so: nothing that is due waits for that.
      const sending: Promise<void>[] = [];
      const send: TickDeps['send'] = (draft) => void sending.push(options.dispatcher.sendStored(draft));
      const rest = due.values();
      const worker = async (): Promise<void> => {
        for (const id of rest) await tickOne({ ...options, timesOf, send }, id, now);
      };
      const ends = await Promise.allSettled(Array.from({ length: AT_ONCE }, worker));
      await Promise.all(sending);
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    },
    watchAll: () => watch({ ...options, timesOf }),
  };
}

/** Looks again and again until it is stopped. */
export function startScheduler(options: SchedulerOptions): Scheduler {
  const { logger, everyMs, watchEveryMs } = options;
  const looks = createLooks(options);
  let stopped = false;
  let timer: NodeJS.Timeout | undefined;
  let look: Promise<void> = Promise.resolve();
  let watched = performance.now();

  const attempt = async (step: 'tick' | 'watch', action: () => Promise<void>): Promise<void> => {
    try {
      await action();
    } catch (error) {
      logger.warn({ err: error, step }, 'scheduler step failed, it runs again');
    }
  };
  const run = async (): Promise<void> => {
    await attempt('tick', looks.tickAll);
    if (stopped || performance.now() - watched < watchEveryMs) return;
    watched = performance.now();
    await attempt('watch', looks.watchAll);
  };
  const next = (): void => {
    if (stopped) return;
    timer = setTimeout(() => {
      look = run().then(next);
    }, everyMs);
  };
  next();
  return {
    async stop() {
      stopped = true;
      clearTimeout(timer);
      await look;
    },
  };
}

/** Reading a pattern costs more than asking it. */
function rememberTimes(): (schedule: ScheduleRecord) => DueTimes {
  const known = new Map<string, DueTimes>();
  return (schedule) => {
    const { cron, every, anchorAt, timeZone } = schedule;
    const key = [timeZone, cron, every, anchorAt?.toISOString()].join(' ');
    const found = known.get(key) ?? readTiming(schedule);
    if (known.size >= KNOWN) known.clear();
    known.set(key, found);
    return found;
  };
}
