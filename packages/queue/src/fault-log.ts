import type { Logger } from '@tarfleet/kernel';

/** At most one line in so many milliseconds while a fault lasts. */
const QUIET_MS = 10_000;

export type FaultLog = (error: unknown) => void;

/**
 * Logs the connection's faults: the first at once, then one line every ten seconds with their count, so that a
 * queue that is down does not fill the log. Only message and code: ioredis hangs the whole command on its
 * errors, passwords of AUTH included.
 */
export function createFaultLog(logger: Logger): FaultLog {
  let quietUntil = 0;
  let held = 0;
  return (error) => {
    if (Date.now() < quietUntil) {
      held += 1;
      return;
    }
    logger.warn({ ...describeFault(error), more: held }, 'queue connection fault');
    quietUntil = Date.now() + QUIET_MS;
    held = 0;
  };
}

/** What of a driver's error may be logged. */
export function describeFault(error: unknown): { fault: string; faultCode?: string | number } {
  if (!(error instanceof Error)) return { fault: String(error) };
  const code = (error as { code?: unknown }).code;
  const cause = error.cause instanceof Error ? ` (${error.cause.message})` : '';
  return {
    fault: `${error.message}${cause}`,
    ...(typeof code === 'string' || typeof code === 'number' ? { faultCode: code } : {}),
  };
}
