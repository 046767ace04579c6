import { Transform, type TransformCallback } from 'node:stream';
import { headerLength, renamedHeader } from '../tar-rename.ts';

/** An entry whose bytes come next. */
export interface Passing {
  /** How many of them are to come. */
  left: number;
  /** What it is to be called; null when it keeps its name. */
  name: Buffer | null;
}

/**
 * Gives entries their names: `passing` has them in order, each before its first byte comes, and only what a walker
 * has accepted comes. What follows the last of them passes.
 */
export function createRenamer(
  passing: Passing[],
  { atEnd, translate }: { atEnd(): Error | null; translate(error: Error): Error },
): Transform {
  /** What has come of the headers of an entry that gets another name. */
  let headers: Buffer = Buffer.alloc(0);
  const take = (stream: Transform, chunk: Buffer): void => {
    let pushed = 0;
    for (let at = 0; at < chunk.length; ) {
      const entry = passing[0];
      if (!entry) break;
      const part = chunk.subarray(at, at + entry.left);
      if (entry.name !== null) {
        if (at > pushed) stream.push(chunk.subarray(pushed, at));
        pushed = at + part.length;
        headers = headers.length > 0 ? Buffer.concat([headers, part]) : part;
        const length = headerLength(headers);
        if (length !== null) {
          stream.push(renamedHeader(headers.subarray(0, length), entry.name));
          if (headers.length > length) stream.push(headers.subarray(length));
          headers = Buffer.alloc(0);
          entry.name = null;
        }
      }
      entry.left -= part.length;
      at += part.length;
      if (entry.left === 0) passing.shift();
    }
    if (pushed < chunk.length) stream.push(pushed === 0 ? chunk : chunk.subarray(pushed));
  };
  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      try {
        take(this, chunk);
      } catch (error) {
        done(error as Error);
        return;
      }
      done();
    },
    flush: (done) => done(atEnd()),
    destroy: (error, done) => done(error && translate(error)),
  });
}
