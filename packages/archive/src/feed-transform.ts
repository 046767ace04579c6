import { Transform, type TransformCallback } from 'node:stream';

export interface Fed {
  take(chunk: Buffer, stream: Transform): void;
  /** There is no more. */
  end(): void;
}

/** A stream that feeds whoever takes its chunks, and who pushes what comes out. What it throws is the stream's error. */
export function createFeedTransform(fed: Fed): Transform {
  const attempt = (step: () => void, callback: TransformCallback): void => {
    try {
      step();
    } catch (error) {
      callback(error as Error);
      return;
    }
    callback();
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, callback) {
      attempt(() => fed.take(chunk, this), callback);
    },
    flush(callback) {
      attempt(() => fed.end(), callback);
    },
  });
}
