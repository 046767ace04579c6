import { Transform, type TransformCallback } from 'node:stream';
import type { Segmenter } from './segmenter.ts';

/** A stream that feeds the segmenter; whoever takes the segments pushes the output. What it throws is the error. */
export function createSegmentTransform(segmenter: Segmenter): Transform {
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
      attempt(() => segmenter.take(chunk), callback);
    },
    flush(callback) {
      attempt(() => segmenter.end(), callback);
    },
  });
}
