import type { Logger } from '@tarfleet/kernel';

/** Times are milliseconds. All processes of one installation should use the same values. */
export interface QueueSettings {
  /** How long a worker may be silent before its job counts as stalled; renewed three times within it. */
  lockMs: number;
  /** How often workers look for stalled jobs. A dead worker's job is back after lockMs plus at most two of these. */
  stalledCheckMs: number;
  /** Tries at a job whose failures are retryable, the first included. */
  tries: number;
  /** Pause before the second try; doubles each time. */
  retryDelayMs: number;
  /** How many workers may die over one job before it fails with WORKER_LOST. */
  maxStalls: number;
  /** How often a worker with running jobs looks for cancels. */
  cancelPollMs: number;
  /** How long a consumer that closes waits for handlers after it has aborted them. */
  stopMs: number;
  /** Longest that one call to the queue may take before it counts as unavailable. */
  callMs: number;
  /** Messages handled at once by one recorder. */
  messageConcurrency: number;
}

export const DEFAULT_SETTINGS: QueueSettings = {
  lockMs: 30_000,
  stalledCheckMs: 15_000,
  tries: 3,
  retryDelayMs: 2_000,
  maxStalls: 20,
  cancelPollMs: 500,
  stopMs: 10_000,
  callMs: 5_000,
  messageConcurrency: 8,
};

export interface QueueOptions {
  /** See `parseQueueUrl` for the forms. */
  url: string;
  logger: Logger;
  settings?: Partial<QueueSettings>;
}
