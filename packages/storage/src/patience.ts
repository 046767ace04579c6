import type { RetryOptions } from '@tarfleet/kernel';

/** How long passing faults of a destination are met with further tries. */
export type Patience = Omit<RetryOptions, 'signal'>;

/** Bridges about fifteen seconds of a server's absence; one that is silent for longer is not asked for ever. */
export const DEFAULT_PATIENCE: Patience = { tries: 6, delayMs: 500, maxDelayMs: 8000, withinMs: 60_000 };
