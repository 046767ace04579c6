import { createHash } from 'node:crypto';
import type { PutResult } from './types.ts';

export interface Part {
  /** From 1. */
  number: number;
  content: Buffer;
  /** True when the stream ended within this part. */
  last: boolean;
  /** Gives the memory back for another part; the content is not to be used after it. */
  release(): void;
}

export interface PartReader {
  /** The next part, full but for the last; null after the last. A stream that ends on a part's edge has a last part of no bytes. */
  next(): Promise<Part | null>;
  /** Of all the bytes, once the last part has been read. */
  result(): PutResult;
}

/** Cuts a stream into parts, each in one block of memory that is used again when it is released. */
export function createPartReader(
  chunks: AsyncIterable<Buffer>,
  sizeOf: (number: number) => number,
): PartReader {
  const source = chunks[Symbol.asyncIterator]();
  const hash = createHash('sha256');
  const free: Buffer[] = [];
  let rest: Buffer = Buffer.alloc(0);
  let number = 0;
  let bytes = 0;
  let ended = false;

  async function more(): Promise<boolean> {
    while (rest.length === 0) {
      const { done, value } = await source.next();
      if (done) return false;
      hash.update(value);
      bytes += value.length;
      rest = value;
    }
    return true;
  }

  return {
    async next() {
      if (ended) return null;
      number += 1;
      const size = sizeOf(number);
      const kept = free.pop();
      const memory = kept?.length === size ? kept : Buffer.allocUnsafeSlow(size);
      let filled = 0;
      while (filled < size && (await more())) {
        const copied = rest.copy(memory, filled);
        filled += copied;
        rest = rest.subarray(copied);
      }
      ended = filled < size;
      return {
        number,
        content: memory.subarray(0, filled),
        last: ended,
        release: () => free.push(memory),
      };
    },
    result: () => ({ bytes, sha256: hash.copy().digest('hex') }),
  };
}
