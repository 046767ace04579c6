import { AppError } from '@tarfleet/kernel';

const DOWN =
  'The queue cannot be reached at the moment. Nothing is lost; try again shortly. If it lasts, check the queue server and QUEUE_URL.';

/**
 * Runs one call to the queue and gives up waiting after `ms` milliseconds; the call itself may still take
 * effect later, which every caller here must be ready for. Faults of the connection and the time limit become
 * a retryable UNAVAILABLE; an AppError passes as it is.
 */
export async function withDeadline<T>(ms: number, call: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms} ms`)), ms);
  });
  try {
    return await Promise.race([call(), limit]);
  } catch (error) {
    throw toQueueError(error);
  } finally {
    clearTimeout(timer);
  }
}

/** What a fault of BullMQ, pg or ioredis means to a caller. */
export function toQueueError(error: unknown): AppError {
  if (error instanceof AppError) return error;
  if (isRefusal(error)) {
    return new AppError('INTERNAL', 'The queue refused an operation; the log has the details.', {
      cause: error,
    });
  }
  return new AppError('UNAVAILABLE', DOWN, { retryable: true, cause: error });
}

/** Faults that waiting does not mend: of the arguments, or of the program. Everything else may be the connection's. */
function isRefusal(error: unknown): boolean {
  if (error instanceof TypeError || error instanceof RangeError) return true;
  if (errorNumber(error) !== undefined) return true;
  // Postgres' classes 22 (data), 23 (constraints) and 42 (names, syntax, rights).
  const sqlState = (error as { code?: unknown } | null)?.code;
  return typeof sqlState === 'string' && /^(22|23|42)[0-9A-Z]{3}$/.test(sqlState);
}

/** BullMQ's number for why an operation was refused (below zero), on both backends. */
export function errorNumber(error: unknown): number | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  const code = (error as { code?: unknown }).code;
  return typeof code === 'number' && code < 0 ? code : undefined;
}

/** Resolves like `promise`, or after `ms` milliseconds with `false` in its place. A rejection counts as an end. */
export async function settledWithin(ms: number, promise: Promise<unknown>): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<false>((resolve) => {
    timer = setTimeout(() => resolve(false), ms);
  });
  const ended = promise.then(
    () => true,
    () => true,
  );
  return Promise.race([ended, limit]).finally(() => clearTimeout(timer));
}
