import { createTarParser, type TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import { PART_BYTES, PART_NAME } from './parts.ts';

/** One stream of a database's archive, its parts joined. Read it to its end before the next one is asked for. */
export interface ReadDump {
  name: string;
  bytes: AsyncGenerator<Buffer>;
}

interface Part {
  name: string;
  number: number;
  content: Buffer;
}

/**
 * The dumps of a database's archive in their order, from its tar stream; a part at a time is in memory. Ends only after
 * the archive's own end. ARCHIVE_MALFORMED for what no capture of a database has written, and when a part is missing.
 */
export async function* readDumps(
  tar: AsyncIterable<Buffer>,
  onEntry: (entry: TarEntry) => void,
): AsyncGenerator<ReadDump> {
  const parts = readParts(tar, onEntry);
  let next = await parts.next();
  while (!next.done) {
    const { name } = next.value;
    let expected = 1;
    async function* bytes(): AsyncGenerator<Buffer> {
      while (!next.done && next.value.name === name) {
        const { number, content } = next.value;
        if (number !== expected) throw malformed(`part ${expected} of ${name} is missing`);
        expected += 1;
        yield content;
        next = await parts.next();
      }
    }
    const dump = { name, bytes: bytes() };
    yield dump;
    for await (const _rest of dump.bytes);
  }
}

async function* readParts(
  tar: AsyncIterable<Buffer>,
  onEntry: (entry: TarEntry) => void,
): AsyncGenerator<Part> {
  const found: { name: string; number: number; size: number }[] = [];
  const parser = createTarParser({
    onEntry(entry) {
      const { path, type, size } = entry;
      if (type === 'directory') return;
      const [, name = '', number = ''] = /^dump\/(.*)$/s.exec(path.toString())?.[1]?.match(PART_NAME) ?? [];
      if (type !== 'file' || name === '' || size > PART_BYTES) {
        throw malformed(`${JSON.stringify(path.toString())} is no part of a dump`);
      }
      onEntry(entry);
      found.push({ name, number: Number(number), size });
    },
  });
  const reader = createReader(tar);
  for (;;) {
    // Block by block, so that it is known where a content begins.
    const block = await reader.take(512);
    if (block === null) break;
    parser.take(block);
    const entry = found.pop();
    if (!entry) continue;
    const content = entry.size === 0 ? Buffer.alloc(0) : await reader.take(padded(entry.size));
    if (content === null) break;
    parser.take(content);
    yield { ...entry, content: content.subarray(0, entry.size) };
  }
  parser.end();
}

/** Exactly so many bytes at a time; null when there are none left. A rest that is too short is left to the parser. */
function createReader(stream: AsyncIterable<Buffer>) {
  const chunks = stream[Symbol.asyncIterator]();
  let waiting: Buffer[] = [];
  let bytes = 0;
  return {
    async take(length: number): Promise<Buffer | null> {
      while (bytes < length) {
        const { done, value } = await chunks.next();
        if (done) break;
        waiting.push(value);
        bytes += value.length;
      }
      if (bytes === 0) return null;
      const [first = Buffer.alloc(0)] = waiting;
      const all = waiting.length === 1 ? first : Buffer.concat(waiting);
      const given = all.subarray(0, length);
      const rest = all.subarray(length);
      waiting = rest.length > 0 ? [rest] : [];
      bytes = rest.length;
      return given;
    },
  };
}

function padded(size: number): number {
  return Math.ceil(size / 512) * 512;
}

function malformed(what: string): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The archive of the database is not as it should be: ${what}.`);
}
