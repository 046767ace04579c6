import { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';

export interface DownloadStreamOptions {
  /** Between two chunks, how long the client may take none, in milliseconds. */
  idleMs: number;
  /** Aborting it ends the source. */
  controller: AbortController;
  /** Called once, after the end, with the error where it was none. */
  onEnd(bytes: number, error: Error | null): void;
}

/**
 * A source as the body of an answer. Resolves when its first bytes are there, so that what cannot be read at all is
 * still an error of the request. Never more than a chunk is held beyond what the socket takes.
 */
export async function openDownloadStream(
  source: AsyncGenerator<Buffer>,
  { idleMs, controller, onEnd }: DownloadStreamOptions,
): Promise<Readable> {
  const first = await source.next();
  let bytes = 0;

  async function* chunks(): AsyncGenerator<Buffer> {
    for (let next = first; !next.done; next = await source.next()) {
      const idle = setTimeout(() => controller.abort(tooSlow(idleMs)), idleMs);
      bytes += next.value.length;
      try {
        yield next.value;
      } finally {
        clearTimeout(idle);
      }
      controller.signal.throwIfAborted();
    }
  }

  const stream = Readable.from(chunks(), { objectMode: false, highWaterMark: 256 * 1024 });
  const onAbort = (): void => void stream.destroy(controller.signal.reason as Error);
  controller.signal.addEventListener('abort', onAbort, { once: true });
  if (controller.signal.aborted) onAbort();
  let fault: Error | null = null;
  stream.on('error', (error) => {
    fault = error;
  });
  stream.once('close', () => {
    controller.signal.removeEventListener('abort', onAbort);
    const whole = stream.readableEnded;
    // Whatever the source still waits for ends now; after a whole download nothing does.
    controller.abort(new Error('The download has ended.'));
    void source.return(undefined).catch(() => undefined);
    onEnd(bytes, whole ? null : (fault ?? new Error('The client went away.')));
  });
  return stream;
}

function tooSlow(idleMs: number): AppError {
  return new AppError('UNAVAILABLE', `The client took nothing for ${Math.round(idleMs / 1000)} seconds.`);
}
