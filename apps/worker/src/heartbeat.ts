import { hostname } from 'node:os';
import type { Heartbeat } from '@tarfleet/contracts';
import type { Logger } from '@tarfleet/kernel';
import { timeLimit } from '@tarfleet/kernel';
import type { Consumer } from '@tarfleet/queue';
import { VERSION } from './version.ts';

export interface HeartbeatOptions {
  workerId: string;
  pool: string;
  everyMs: number;
  keyring: Heartbeat['keyring'];
  consumers: Consumer[];
  publish(message: Heartbeat, signal: AbortSignal): Promise<void>;
  logger: Logger;
}

/** Tells the fleet's record who lives and does what. Returns a stop that says goodbye. */
export function startHeartbeat(options: HeartbeatOptions): (stopping: boolean) => Promise<void> {
  const startedAt = new Date().toISOString();
  const since = new Map<string, string>();
  let sending = false;

  const send = async (stopping: boolean): Promise<void> => {
    if (sending) return;
    sending = true;
    const at = new Date().toISOString();
    const running = options.consumers.flatMap((consumer) => consumer.running());
    for (const id of since.keys()) if (!running.some((job) => job.jobId === id)) since.delete(id);
    try {
      await options.publish(
        {
          v: 1,
          type: 'heartbeat',
          workerId: options.workerId,
          host: hostname(),
          pid: process.pid,
          pool: options.pool,
          version: VERSION,
          startedAt,
          at,
          stopping,
          keyring: options.keyring,
          jobs: running.map(({ jobId, kind }) => {
            if (!since.has(jobId)) since.set(jobId, at);
            return { jobId, kind, since: since.get(jobId) ?? at };
          }),
        },
        timeLimit(options.everyMs),
      );
    } catch (error) {
      options.logger.debug({ err: error }, 'heartbeat not sent');
    } finally {
      sending = false;
    }
  };

  const timer = setInterval(() => void send(false), options.everyMs);
  void send(false);
  return async (stopping) => {
    clearInterval(timer);
    await send(stopping);
  };
}
