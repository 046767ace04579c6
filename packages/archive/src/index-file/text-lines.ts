import { isAscii, isUtf8 } from 'node:buffer';
import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errnoOf } from '@tarfleet/kernel';
import { damagedIndex } from './format.ts';

/** No line comes near it; a longer one is refused before it is in memory. */
const LINE_MAX = 1024 * 1024;
/** What is decompressed at a time, in bytes. */
const PIECE_BYTES = 64 * 1024;
const END = 0x0a;

/**
 * The lines of a gzipped text, without their ends, some at a time. `stored` is destroyed however it ends.
 * BACKUP_CORRUPTED for what is not exactly one such text in UTF-8, each line with its end.
 */
export async function* textLines(stored: Readable): AsyncGenerator<string[]> {
  const gunzip = createGunzip({ chunkSize: PIECE_BYTES });
  let received = 0;
  stored.on('data', (chunk: Buffer) => {
    received += chunk.length;
  });
  // Whichever fails first ends the other, and is what the reader gets.
  stored.on('error', (error) => gunzip.destroy(error));
  stored.pipe(gunzip);
  let rest: Buffer = Buffer.alloc(0);
  try {
    for await (const chunk of gunzip as AsyncIterable<Buffer>) {
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      const end = bytes.lastIndexOf(END) + 1;
      if (end > 0) yield split(bytes.subarray(0, end));
      rest = bytes.subarray(end);
      if (rest.length > LINE_MAX) throw damagedIndex('a line that is too long');
    }
    if (rest.length > 0) throw damagedIndex('its last line is cut');
    // Zlib passes over zeros behind a member in silence; but it counts what it has used.
    if (!stored.readableEnded || gunzip.bytesWritten !== received) throw damagedIndex('bytes behind its end');
  } catch (error) {
    if (errnoOf(error)?.startsWith('Z_')) throw damagedIndex((error as Error).message);
    throw error;
  } finally {
    gunzip.destroy();
    stored.destroy();
  }
}

/** Each line as a string of its own: whoever keeps one keeps no more than that. */
function split(bytes: Buffer): string[] {
  if (!isUtf8(bytes)) throw damagedIndex('a line that is not UTF-8');
  const encoding = isAscii(bytes) ? 'latin1' : 'utf8';
  const lines: string[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(END, from);
    lines.push(bytes.toString(encoding, from, end));
    from = end + 1;
  }
  return lines;
}
