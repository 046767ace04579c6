import type { Readable } from 'node:stream';

/** A stream that this call has taken over: it is destroyed by `stop`, by the signal, and never left without a listener. */
export interface OwnedBody {
  chunks: AsyncIterable<Buffer>;
  /** Destroys the stream, so that whoever waits for its next chunk gets this error. */
  stop(error: unknown): void;
  /** To be called at the end in any case: lets go of the signal, destroys what was not read to its end. */
  release(): void;
}

export function ownBody(body: Readable, signal: AbortSignal): OwnedBody {
  // An error may come while nobody waits for a chunk (during a request): the next chunk's reader gets it.
  body.on('error', () => {});
  const stop = (error: unknown): void => {
    body.destroy(error as Error);
  };
  const onAbort = (): void => stop(signal.reason);
  if (signal.aborted) onAbort();
  else signal.addEventListener('abort', onAbort, { once: true });
  return {
    chunks: toBuffers(body),
    stop,
    release() {
      signal.removeEventListener('abort', onAbort);
      if (!body.destroyed) body.destroy();
    },
  };
}

async function* toBuffers(body: Readable): AsyncGenerator<Buffer> {
  for await (const chunk of body as AsyncIterable<Buffer | Uint8Array | string>) {
    yield Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk as Uint8Array);
  }
}
