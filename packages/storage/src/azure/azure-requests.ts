import { AppError, withRetry } from '@tarfleet/kernel';
import type { Patience } from '../patience.ts';
import { type AzurePlace, translateAzure } from './azure-faults.ts';

/**
 * Makes one request, and again after a passing fault. Rejects with AppErrors, or with the signal's reason. A try that takes
 * longer than `ms` until the head of its answer is given up: the library waits for a silent server for ever.
 */
export type AzureRequest = <T>(
  signal: AbortSignal,
  ms: number,
  send: (abortSignal: AbortSignal) => Promise<T>,
) => Promise<T>;

/** For requests that the second time change nothing, all that the driver makes. */
export function createAzureRequest(place: AzurePlace, patience: Patience): AzureRequest {
  return (signal, ms, send) =>
    withRetry(
      async () => {
        signal.throwIfAborted();
        const late = new AbortController();
        const timer = setTimeout(() => late.abort(), ms);
        try {
          return await send(AbortSignal.any([signal, late.signal]));
        } catch (error) {
          signal.throwIfAborted();
          if (late.signal.aborted) throw silent(place, ms);
          // Faults of our own are told as they are.
          throw (error as Error).name === 'RestError' ? translateAzure(error, place) : error;
        } finally {
          clearTimeout(timer);
        }
      },
      { ...patience, signal },
    );
}

function silent({ container, endpoint }: AzurePlace, ms: number): AppError {
  return new AppError(
    'DESTINATION_UNREACHABLE',
    `The container ${container} at ${endpoint} did not answer within ${Math.ceil(ms / 1000)} seconds. Is the endpoint right, and up?`,
    { retryable: true },
  );
}
