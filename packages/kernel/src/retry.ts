import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from './app-error.ts';

export interface RetryOptions {
  /** How often at most, the first try included. */
  tries: number;
  /** Before the second try, in milliseconds; doubles each time, up to `maxDelayMs`, with up to half of it at random. */
  delayMs: number;
  maxDelayMs: number;
  signal?: AbortSignal;
}

/** Runs `action` again while it fails with a retryable AppError. The last error is thrown as it is. */
export async function withRetry<T>(action: () => Promise<T>, options: RetryOptions): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await action();
    } catch (error) {
      const again = error instanceof AppError && error.retryable && attempt < options.tries;
      if (!again || options.signal?.aborted) throw error;
      const base = Math.min(options.maxDelayMs, options.delayMs * 2 ** (attempt - 1));
      const pause = base / 2 + (Math.random() * base) / 2;
      await sleep(pause, undefined, options.signal ? { signal: options.signal } : {});
    }
  }
}
