import type { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';

/** Output that a secret mark cuts into parts; after each mark stands one letter. */
export interface Framed {
  /** What comes before the next mark, as it arrives. Read it to its end, then `letter`. */
  part(): AsyncGenerator<Buffer>;
  /** The letter behind the mark that ended the last part. */
  letter(): Promise<string>;
}

/** COMMAND_FAILED when the output ends before a mark that is waited for: something ended who wrote it. */
export function createFramed(stdout: Readable, secret: string): Framed {
  const mark = Buffer.from(secret);
  const chunks = (stdout as AsyncIterable<Buffer>)[Symbol.asyncIterator]();
  let held: Buffer = Buffer.alloc(0);
  const more = async (): Promise<void> => {
    const { done, value } = await chunks.next();
    if (done)
      throw new AppError('COMMAND_FAILED', 'The server stopped in the middle of what it was asked for.', {
        retryable: true,
      });
    held = held.length > 0 ? Buffer.concat([held, value]) : value;
  };
  return {
    async *part() {
      for (;;) {
        const at = held.indexOf(mark);
        if (at >= 0) {
          const last = held.subarray(0, at);
          held = held.subarray(at + mark.length);
          if (last.length > 0) yield last;
          return;
        }
        // The mark may have begun at the end.
        const sure = Math.max(0, held.length - mark.length + 1);
        if (sure > 0) {
          const piece = held.subarray(0, sure);
          held = held.subarray(sure);
          yield piece;
        }
        await more();
      }
    },
    async letter() {
      while (held.length === 0) await more();
      const letter = String.fromCharCode(held[0] ?? 0);
      held = held.subarray(1);
      return letter;
    },
  };
}

/** A small part whole. COMMAND_FAILED beyond `max` bytes. */
export async function wholePart(framed: Framed, max: number): Promise<Buffer> {
  const pieces: Buffer[] = [];
  let bytes = 0;
  for await (const piece of framed.part()) {
    bytes += piece.length;
    if (bytes > max) throw new AppError('COMMAND_FAILED', 'The server printed more than it was asked for.');
    pieces.push(piece);
  }
  return Buffer.concat(pieces);
}
