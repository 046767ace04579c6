import { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';

export interface Download {
  body: Readable;
  /** Exactly so many, or the stream fails. */
  bytes: number;
  /** Longest wait for the server's next bytes, in milliseconds; our reader's own pauses do not count. */
  idleMs: number;
  signal: AbortSignal;
  /** Of the object, for messages. */
  key: string;
  translate(error: unknown): AppError;
}

/** The body of an answer as a stream that never ends short. It owns the body, and with it the connection. */
export function downloadStream({ body, bytes, idleMs, signal, key, translate }: Download): Readable {
  // The body's errors come out of its iterator; before the first read somebody must hear them too.
  body.on('error', () => {});
  const source = (body as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let received = 0;

  async function next(): Promise<Buffer | null> {
    let idle: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_resolve, reject) => {
      idle = setTimeout(() => reject(slow(key, idleMs)), idleMs);
    });
    try {
      const { done, value } = await Promise.race([source.next(), silence]);
      received += done ? 0 : value.length;
      if (received > bytes || (done && received < bytes)) throw wrongLength(key, received, bytes);
      return done ? null : value;
    } catch (error) {
      throw error instanceof AppError ? error : translate(error);
    } finally {
      clearTimeout(idle);
    }
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
      body.destroy();
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

function slow(key: string, idleMs: number): AppError {
  return new AppError(
    'DESTINATION_UNREACHABLE',
    `The server sent nothing more of ${key} for ${Math.round(idleMs / 1000)} seconds.`,
    { retryable: true },
  );
}

function wrongLength(key: string, received: number, bytes: number): AppError {
  return new AppError(
    'STORAGE_FAILED',
    `The server sent ${received} bytes of ${key} where ${bytes} were announced.`,
    {
      retryable: true,
    },
  );
}
