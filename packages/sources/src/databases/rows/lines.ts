import { AppError } from '@tarfleet/kernel';

/** Of one row: all of it is in memory. */
const LINE_MAX = 256 * 1024 * 1024;
/** How much is looked at at once, where lines are shorter. */
const BATCH = 256 * 1024;

export const NEWLINE = 0x0a;

/** Whole lines of a stream with their ends, some at a time; a last one without an end gets one. */
export async function* linesOf(stream: AsyncIterable<Buffer>): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of stream) {
    for (let from = 0; from < chunk.length; from += BATCH) {
      const piece = chunk.subarray(from, from + BATCH);
      const end = piece.lastIndexOf(NEWLINE) + 1;
      if (end === 0) {
        waiting.push(piece);
        bytes += piece.length;
        if (bytes > LINE_MAX) throw new AppError('NOT_SUPPORTED', `A row is longer than ${LINE_MAX} bytes.`);
        continue;
      }
      const whole = piece.subarray(0, end);
      yield waiting.length === 0 ? whole : Buffer.concat([...waiting, whole]);
      waiting = end < piece.length ? [piece.subarray(end)] : [];
      bytes = piece.length - end;
    }
  }
  if (bytes > 0) yield Buffer.concat([...waiting, Buffer.of(NEWLINE)]);
}
