import { AppError, type Logger } from '@tarfleet/kernel';
import type { Job } from 'bullmq';
import { withDeadline } from './deadline.ts';
import type { FaultLog } from './fault-log.ts';

export interface Hold {
  /** True once the queue said that the lock is not ours. */
  readonly lost: boolean;
  /** Extends the lock now. Throws ATTEMPT_SUPERSEDED when it is lost, UNAVAILABLE when the queue does not answer. */
  assertHeld(): Promise<void>;
  /** Ends the renewal; the lock then lapses by itself unless the job was moved. */
  release(): void;
}

export interface LockKeeper {
  hold(job: Job, token: string, onLost: (reason: AppError) => void): Hold;
}

/**
 * Renews the locks of the jobs that run here, each three times within its life. BullMQ's own keeper counts by
 * job id: when a process was frozen and takes its own stalled job again, the old try and the new one are mixed
 * up there. Here each try has its own lock. A queue that cannot be reached is no lost lock: nobody else can
 * reach it either, or the next renewal will tell.
 */
export function createLockKeeper(options: {
  lockMs: number;
  callMs: number;
  logger: Logger;
  onFault: FaultLog;
}): LockKeeper {
  const everyMs = Math.max(50, Math.floor(options.lockMs / 3));

  return {
    hold(job, token, onLost) {
      let lost: AppError | undefined;
      let released = false;
      let timer: NodeJS.Timeout;

      const extend = async (ms: number): Promise<void> => {
        if (lost) throw lost;
        const kept = await withDeadline(ms, () => job.extendLock(token, options.lockMs));
        if (kept > 0) return;
        lost ??= new AppError('ATTEMPT_SUPERSEDED', 'Another worker has taken over this job.');
        if (!released) onLost(lost);
        throw lost;
      };
      const schedule = (pauseMs: number): void => {
        timer = setTimeout(() => {
          let nextMs = everyMs;
          extend(Math.min(options.callMs, everyMs * 2))
            .catch((error: unknown) => {
              if (error !== lost) options.onFault(error);
              // After an outage, learn soon whether the lock outlived it.
              nextMs = Math.min(everyMs, 1_000);
            })
            .finally(() => {
              if (!released && !lost) schedule(nextMs);
            });
        }, pauseMs);
      };
      schedule(everyMs);

      return {
        get lost() {
          return lost !== undefined;
        },
        assertHeld: () => extend(options.callMs),
        release() {
          released = true;
          clearTimeout(timer);
        },
      };
    },
  };
}
