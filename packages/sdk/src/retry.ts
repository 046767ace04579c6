import type { TarfleetError } from './tarfleet-error.ts';

const FIRST_MS = 500;
const LONGEST_MS = 15_000;

/**
 * How long to wait before the request may be sent again, in milliseconds; null: it may not. `repeatable`: whatever
 * became of it, sending it again does it no second time (it only reads, or carries an Idempotency-Key).
 */
export function retryDelay(
  error: TarfleetError,
  { repeatable, tries, longest }: { repeatable: boolean; tries: number; longest: number },
): number | null {
  if (!mayRepeat(error, repeatable)) return null;
  if (error.retryAfterMs !== null) return error.retryAfterMs <= longest ? error.retryAfterMs : null;
  // Half of it by chance, so that many clients that failed together do not come back together.
  const most = Math.min(FIRST_MS * 2 ** (tries - 1), LONGEST_MS, longest);
  return most / 2 + Math.random() * (most / 2);
}

function mayRepeat(error: TarfleetError, repeatable: boolean): boolean {
  // Refused before anything was done.
  if (error.status === 429) return true;
  if (error.code === 'UNAVAILABLE') return repeatable || error.jobId === null;
  if (!repeatable) return false;
  return error.transient || error.code === 'IDEMPOTENCY_KEY_IN_USE';
}

/** `Retry-After` (RFC 9110) in milliseconds from now; null where there is none, or none that makes sense. */
export function readRetryAfter(header: string | null): number | null {
  if (header === null) return null;
  if (/^\d{1,9}$/.test(header.trim())) return Number(header) * 1000;
  const at = Date.parse(header);
  return Number.isNaN(at) ? null : Math.max(0, at - Date.now());
}
