export interface SegmenterOptions {
  /** How much the first segment holds, in bytes, and each later one, which is not less. */
  firstBytes: number;
  laterBytes: number;
  /** Called for each segment in order. `content` is valid only until it returns. */
  onSegment(content: Buffer, number: number, last: boolean): void;
}

/**
 * Cuts chunks of any size into segments. Which one is the last is known only when a further byte comes, or none:
 * and it must be known first, as the nonce tells it. So one segment is held back, never more.
 */
export interface Segmenter {
  take(chunk: Buffer): void;
  /** Gives the last segment; it is empty when no byte ever came. */
  end(): void;
}

export function createSegmenter({ firstBytes, laterBytes, onSegment }: SegmenterOptions): Segmenter {
  let held: Buffer | undefined;
  let filled = 0;
  let number = 0;
  let room = firstBytes;

  const give = (content: Buffer, last: boolean): void => {
    onSegment(content, number, last);
    number += 1;
    room = laterBytes;
    filled = 0;
  };

  const hold = (part: Buffer): Buffer => {
    held ??= Buffer.allocUnsafeSlow(laterBytes);
    filled += part.copy(held, filled);
    return held.subarray(0, filled);
  };

  return {
    take(chunk) {
      let rest = chunk;
      while (filled + rest.length > room) {
        const part = rest.subarray(0, room - filled);
        rest = rest.subarray(part.length);
        // A whole segment in one chunk need not be copied.
        give(filled === 0 ? part : hold(part), false);
      }
      if (rest.length > 0) hold(rest);
    },
    end() {
      give(hold(Buffer.alloc(0)), true);
    },
  };
}
