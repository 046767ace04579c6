/** Reads that go on where they were cut: a decorator around any driver. */
import { Readable } from 'node:stream';
import { AppError, withRetry } from '@tarfleet/kernel';
import type { Patience } from './patience.ts';
import type { Driver, GetOptions, OpenedObject, Storage } from './types.ts';

/** A read that came so far since its last cut has all its tries again. */
const PROGRESS_BYTES = 1024 * 1024;

export function withResumedReads({ open, ...driver }: Driver, patience: Patience): Omit<Storage, 'check'> {
  return {
    ...driver,
    get: async (key, options) =>
      resumed(await open(key, options), (more) => open(key, more), key, options, patience),
  };
}

/**
 * The object's stream, taken up again from the byte that is missing after each passing fault. It ends cleanly after as many
 * bytes as were announced at first and never otherwise, and never joins two objects to one.
 */
function resumed(
  first: OpenedObject,
  open: (options: GetOptions) => Promise<OpenedObject>,
  key: string,
  { signal, start = 0, length }: GetOptions,
  patience: Patience,
): Readable {
  const gone = new AbortController();
  const both = AbortSignal.any([signal, gone.signal]);
  let current = first.body;
  let chunks = chunksOf(current);
  let received = 0;
  let tries = patience.tries;
  let cutAt = 0;

  async function next(): Promise<Buffer | null> {
    for (;;) {
      try {
        const { done, value } = await chunks.next();
        received += done ? 0 : value.length;
        if (received > first.bytes || (done && received < first.bytes))
          throw wrongLength(key, received, first.bytes);
        return done ? null : value;
      } catch (error) {
        if (!(error instanceof AppError) || !error.retryable) throw error;
        if (received === first.bytes) return null;
        await resume(error);
      }
    }
  }

  async function resume(fault: AppError): Promise<void> {
    if (received - cutAt >= PROGRESS_BYTES) tries = patience.tries;
    cutAt = received;
    let pending: AppError | null = fault;
    const action = async (): Promise<OpenedObject> => {
      tries -= 1;
      // The cut itself was the first try.
      if (pending) {
        const error = pending;
        pending = null;
        throw error;
      }
      const rest = length === undefined ? {} : { length: first.bytes - received };
      return open({ signal: both, start: start + received, ...rest });
    };
    const again = await withRetry(action, { ...patience, tries: Math.max(1, tries), signal: both });
    if (again.bytes !== first.bytes - received || again.version !== first.version) {
      again.body.destroy();
      throw new AppError('STORAGE_FAILED', `The object ${key} was changed while it was read.`);
    }
    current = again.body;
    chunks = chunksOf(current);
  }

  const stream = new Readable({
    read() {
      next().then(
        (chunk) => this.push(chunk),
        (error: Error) => this.destroy(error),
      );
    },
    destroy(error, callback) {
      signal.removeEventListener('abort', onAbort);
      gone.abort(error ?? new Error('nobody reads any more'));
      current.destroy();
      callback(error);
    },
  });
  // The abort may come before anybody reads: it then waits in the stream for whoever comes.
  stream.on('error', () => undefined);
  const onAbort = (): void => {
    stream.destroy(signal.reason as Error);
  };
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return stream;
}

function chunksOf(body: Readable): AsyncIterator<Buffer> {
  // Its errors come out of its iterator; before the first read somebody must hear them too.
  body.on('error', () => undefined);
  return (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
}

function wrongLength(key: string, received: number, bytes: number): AppError {
  return new AppError(
    'STORAGE_FAILED',
    `The destination gave ${received} bytes of ${key} where it has ${bytes}.`,
  );
}
