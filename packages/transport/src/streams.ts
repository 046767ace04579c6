import { Readable, Writable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';

export interface Relay {
  stream: Readable;
  /** Lets the stream end once its source has ended: until then a break can still turn the end into an error. */
  confirmEnd(): void;
  /** Destroys the stream with an error; what else arrives is discarded. */
  fail(error: Error): void;
}

/**
 * Passes `source` on with back-pressure, `head` first, and owns how it ends: a source that just stops, as a
 * broken connection looks like, never becomes a clean end. `onAbandoned` is called when the reader destroys
 * the stream early; the rest is then read and discarded, so that nothing waits for a reader who left.
 */
export function createRelay(source: Readable, head: Buffer, onAbandoned: () => void): Relay {
  // A source that was paused for a moment may have ended in it.
  let sourceEnded = source.readableEnded;
  let confirmed = false;
  let ended = false;
  let failed = false;
  const stream = new Readable({
    highWaterMark: 256 * 1024,
    read() {
      source.resume();
    },
    destroy(error, done) {
      source.resume();
      if (!ended && !failed) onAbandoned();
      done(error);
    },
  });
  // Without a listener, an error that the caller learns from `done` as well would end the process.
  stream.on('error', () => undefined);
  if (head.length > 0) stream.push(head);
  const endIfDone = (): void => {
    if (!sourceEnded || !confirmed || ended || stream.destroyed) return;
    ended = true;
    stream.push(null);
  };
  source.on('data', (chunk: Buffer) => {
    if (!stream.destroyed && !stream.push(chunk)) source.pause();
  });
  source.once('end', () => {
    sourceEnded = true;
    endIfDone();
  });
  return {
    stream,
    confirmEnd() {
      confirmed = true;
      endIfDone();
    },
    fail(error) {
      failed = true;
      stream.destroy(error);
    },
  };
}

export interface Input {
  stream: Writable;
  /** The command is gone: what was not taken is an error for the writer, never a crash. */
  close(): void;
}

/** A command's stdin. Ending early is the command's right, so the error only reaches those who look for it. */
export function createInput(sink: Writable): Input {
  const gone = (cause?: Error | null): AppError =>
    new AppError(
      'COMMAND_FAILED',
      'The command ended before it had read all of its input; its exit code and stderr say why.',
      cause ? { cause } : {},
    );
  const stream = new Writable({
    highWaterMark: 256 * 1024,
    write(chunk: Buffer, _encoding, done) {
      sink.write(chunk, (error) => done(error ? gone(error) : null));
    },
    final(done) {
      sink.end();
      done();
    },
    destroy(error, done) {
      sink.end();
      done(error);
    },
  });
  stream.on('error', () => undefined);
  sink.on('error', (error) => stream.destroy(gone(error)));
  return {
    stream,
    close() {
      if (!stream.writableFinished) stream.destroy(gone());
    },
  };
}
