import type { QueueSettings } from './settings.ts';

/** Small times: tests wait for locks to lapse. */
export const FAST: Partial<QueueSettings> = {
  lockMs: 1_500,
  stalledCheckMs: 400,
  retryDelayMs: 100,
  cancelPollMs: 150,
  stopMs: 3_000,
};
