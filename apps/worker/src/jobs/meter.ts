import { Transform } from 'node:stream';

export interface Meter {
  /** Passes bytes on unchanged and counts them. */
  stream: Transform;
  bytes(): number;
}

/** Counts what flows by. `onBytes` is called with the total so far, for each chunk. */
export function createMeter(onBytes: (total: number) => void = () => {}): Meter {
  let total = 0;
  const stream = new Transform({
    transform(chunk: Buffer, _encoding, done) {
      total += chunk.length;
      onBytes(total);
      done(null, chunk);
    },
  });
  return { stream, bytes: () => total };
}
