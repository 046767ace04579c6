import type { Database } from '@tarfleet/db';
import { AppError, type Logger } from '@tarfleet/kernel';
import { assertRestorable, relock } from '../planner/on-backup.ts';

/** How long a hold outlives the process that took it, in seconds. */
const HOLD_SECONDS = 60;
const HEARTBEATS = 3;

/** One download that runs. */
export interface Download {
  /** Aborts when the process stops, or when the backup is no longer held and its objects may go. */
  signal: AbortSignal;
  /** Ends it for this reason, unless it has ended. */
  abort(reason: AppError): void;
  /** Keeps the backup's objects for so many seconds from now, also after `end`. CONFLICT when they may go already. */
  keepFor(seconds: number): Promise<void>;
  /** Gives the backup back; may be called more than once. */
  end(): Promise<void>;
}

/** The downloads of one process. */
export interface Downloads {
  /**
   * Holds a backup's objects until `end`. BACKUP_NOT_FOUND, BACKUP_INCOMPLETE; UNAVAILABLE where too many run, or the
   * process stops.
   */
  begin(backupId: string): Promise<Download>;
  /** Takes no more, waits so many milliseconds for those that run, then ends them. */
  close(graceMs: number): Promise<void>;
}

export interface DownloadsOptions {
  db: Pick<Database, 'transaction' | 'holds'>;
  logger: Logger;
  /** At once. */
  most: number;
  holdSeconds?: number;
}

export function createDownloads({
  db,
  logger,
  most,
  holdSeconds = HOLD_SECONDS,
}: DownloadsOptions): Downloads {
  const running = new Set<AbortController>();
  let closing = false;
  let onIdle = (): void => undefined;

  const leave = (one: AbortController): void => {
    running.delete(one);
    if (running.size === 0) onIdle();
  };

  const take = (backupId: string): Promise<string> =>
    db.transaction(async (tx) => {
      assertRestorable(await relock(tx, backupId));
      return tx.holds.take(backupId, holdSeconds);
    });

  return {
    async begin(backupId) {
      if (closing) throw busy('This server is about to stop.');
      if (running.size >= most) throw busy(`This server serves ${most} downloads at once, and no more.`);
      const controller = new AbortController();
      running.add(controller);
      let id: string;
      try {
        id = await take(backupId);
      } catch (error) {
        leave(controller);
        throw error;
      }
      const heart = keepAlive(id, controller);
      let kept = false;
      let ended = false;
      return {
        signal: controller.signal,
        abort: (reason) => controller.abort(reason),
        async keepFor(seconds) {
          kept = await db.holds.extend(id, seconds);
          if (!kept) throw new AppError('CONFLICT', 'The backup is being deleted.');
        },
        async end() {
          if (ended) return;
          ended = true;
          clearInterval(heart);
          leave(controller);
          if (kept) return;
          await db.holds
            .release(id)
            .catch((error: unknown) => logger.warn({ err: error, backupId }, 'a hold ends by itself'));
        },
      };
    },
    async close(graceMs) {
      closing = true;
      if (running.size === 0) return;
      const idle = new Promise<void>((resolve) => {
        onIdle = resolve;
      });
      const timer = setTimeout(() => {
        for (const one of running) one.abort(busy('This server stops. Go on with a Range request.'));
      }, graceMs);
      await idle;
      clearTimeout(timer);
    },
  };

  /** Moves the hold's end on. Once it may have ended, nothing more is read. */
  function keepAlive(id: string, controller: AbortController): NodeJS.Timeout {
    let last = performance.now();
    const lost = (): void =>
      controller.abort(new AppError('CONFLICT', 'The backup could not be held any longer.'));
    const beat = async (): Promise<void> => {
      const asked = performance.now();
      try {
        if (await db.holds.extend(id, holdSeconds)) last = asked;
        else if (running.has(controller)) lost();
      } catch (error) {
        logger.warn({ err: error }, 'a hold could not be prolonged');
        if (asked - last >= holdSeconds * 1000) lost();
      }
    };
    const timer = setInterval(() => void beat(), (holdSeconds * 1000) / HEARTBEATS);
    timer.unref();
    return timer;
  }
}

function busy(message: string): AppError {
  return new AppError('UNAVAILABLE', `${message} Try again in a moment.`, { retryable: true });
}
