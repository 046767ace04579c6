/** How long an entry of a dump is at most, in bytes: all of it is in memory while its header is made. */
export const PART_BYTES = 8 * 1024 * 1024;

/** A stream in parts of `PART_BYTES`, the last of which may be shorter; at least one, which may be empty. */
export async function* inParts(stream: AsyncIterable<Buffer>, size = PART_BYTES): AsyncGenerator<Buffer> {
  let waiting: Buffer[] = [];
  let bytes = 0;
  let given = 0;
  for await (const chunk of stream) {
    for (let from = 0; from < chunk.length; ) {
      const piece = chunk.subarray(from, from + size - bytes);
      waiting.push(piece);
      from += piece.length;
      bytes += piece.length;
      if (bytes < size) continue;
      yield Buffer.concat(waiting);
      given += 1;
      waiting = [];
      bytes = 0;
    }
  }
  if (bytes > 0 || given === 0) yield Buffer.concat(waiting);
}

/** As it stands behind a dump's name: `.000001`, or a longer number. */
export const PART_NAME = /^(.+)\.(\d{6,})$/;
