import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from './app-error.ts';

export interface RetryOptions {
  /** How often at most, the first try included. */
  tries: number;
  /** Before the second try, in milliseconds; doubles each time, up to `maxDelayMs`, with up to half of it at random. */
  delayMs: number;
  maxDelayMs: number;
  /** No further try begins later than this after the first, in milliseconds; left out: no such limit. */
  withinMs?: number;
  signal?: AbortSignal;
}

/**
 * Runs `action` again while it fails with a retryable AppError, and `may`, where it is given, agrees. The last error is
 * thrown as it is; an abort during a pause rejects with the signal's reason.
 */
export async function withRetry<T>(
  action: () => Promise<T>,
  options: RetryOptions,
  may: () => boolean = () => true,
): Promise<T> {
  const begun = performance.now();
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const again = error instanceof AppError && error.retryable && attempt < options.tries && may();
      const { signal, withinMs = Number.POSITIVE_INFINITY } = options;
      if (!again || signal?.aborted || performance.now() - begun > withinMs) throw error;
      const base = Math.min(options.maxDelayMs, options.delayMs * 2 ** (attempt - 1));
      const pause = base / 2 + (Math.random() * base) / 2;
      await sleep(pause, undefined, signal ? { signal } : {}).catch(() => signal?.throwIfAborted());
    }
  }
}
