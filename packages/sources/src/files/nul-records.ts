/** What a server prints with NUL between: the one byte that no path holds. */
import type { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';

/** No record of ours is longer; a server that sends more does not speak our language. */
const RECORD_MAX = 256 * 1024;

/** The records of a stream, in batches as they arrive. What follows the last NUL is an error: it was cut off. */
export async function* nulRecords(stream: Readable): AsyncGenerator<Buffer[]> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of stream as AsyncIterable<Buffer>) {
    const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
    const records: Buffer[] = [];
    let from = 0;
    for (let end = bytes.indexOf(0); end >= 0; end = bytes.indexOf(0, from)) {
      records.push(bytes.subarray(from, end));
      from = end + 1;
    }
    rest = bytes.subarray(from);
    if (rest.length > RECORD_MAX) break;
    if (records.length > 0) yield records;
  }
  if (rest.length > 0) {
    throw new AppError('COMMAND_FAILED', 'The server printed something else than was asked for.');
  }
}

/** The records of a stream two by two, each pair a name and what belongs to it, in batches as they arrive. */
export async function* nulPairs(stream: Readable): AsyncGenerator<[Buffer, Buffer][]> {
  let name: Buffer | null = null;
  for await (const records of nulRecords(stream)) {
    const pairs: [Buffer, Buffer][] = [];
    for (const record of records) {
      if (name === null) name = record;
      else {
        pairs.push([name, record]);
        name = null;
      }
    }
    if (pairs.length > 0) yield pairs;
  }
  if (name !== null) {
    throw new AppError('COMMAND_FAILED', 'The server stopped in the middle of what it was asked for.');
  }
}

/** The records of output that is all there. */
export function splitRecords(bytes: Buffer): Buffer[] {
  const records: Buffer[] = [];
  for (let from = 0; from < bytes.length; ) {
    const end = bytes.indexOf(0, from);
    if (end < 0)
      throw new AppError('COMMAND_FAILED', 'The server printed something else than was asked for.');
    records.push(bytes.subarray(from, end));
    from = end + 1;
  }
  return records;
}
