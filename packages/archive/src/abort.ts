import type { Readable, Writable } from 'node:stream';

/** Destroys the stream with the signal's own reason when it aborts; forgets the signal when the stream is over. */
export function destroyOnAbort(stream: Readable | Writable, signal: AbortSignal): void {
  // The abort may come before anybody reads or pipes: it then waits in the stream for whoever comes.
  stream.on('error', () => undefined);
  const abort = (): void => {
    stream.destroy(signal.reason instanceof Error ? signal.reason : new Error(String(signal.reason)));
  };
  if (signal.aborted) {
    abort();
    return;
  }
  signal.addEventListener('abort', abort, { once: true });
  stream.once('close', () => signal.removeEventListener('abort', abort));
}
