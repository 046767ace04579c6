import type { Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { errnoOf } from '@tarfleet/kernel';
import { comparePaths } from '../path-order.ts';
import { decodeLine, type IndexLine } from './entry-lines.ts';
import { damagedIndex, decodeHeader, type IndexEntry, type IndexHeader } from './format.ts';
import { thenClosed } from './then-closed.ts';

/** No line comes near it; a longer one is refused before it is in memory. */
const LINE_MAX = 1024 * 1024;

export interface OpenIndex {
  header: IndexHeader;
  /** Where each archive's members begin before encryption, by number of the archive. */
  members: readonly (readonly number[])[];
  /** In the order of the file, which is checked. To be read to the end, or left with `return`. */
  entries: AsyncGenerator<IndexEntry>;
}

/**
 * Reads a gzipped index line by line. `stored` is destroyed however it ends. BACKUP_CORRUPTED for anything that is
 * not exactly one whole index: cut, not sorted, with a path twice, or with lines behind its end.
 */
export async function openIndex(stored: Readable): Promise<OpenIndex> {
  const lines = textLines(stored);
  try {
    const first = await lines.next();
    if (first.done) throw damagedIndex('it is empty');
    const header = decodeHeader(first.value);
    const { members, next } = await readMembers(lines, header);
    return { header, members, entries: thenClosed(readEntries(lines, header, next), lines) };
  } catch (error) {
    await lines.return(undefined);
    throw error;
  }
}

/** All the tables, and the first line behind them. */
async function readMembers(
  lines: AsyncGenerator<string>,
  { archives, version }: IndexHeader,
): Promise<{ members: number[][]; next: IndexLine }> {
  const members: number[][] = archives.map(() => []);
  for (;;) {
    const { done, value } = await lines.next();
    if (done) throw damagedIndex('it ends too early');
    const line = decodeLine(value, archives.length, version);
    if (line.kind !== 'members') {
      if (archives.some((archive, number) => members[number]?.length !== archive.members)) {
        throw damagedIndex('an archive without all of its members');
      }
      return { members, next: line };
    }
    const table = members[line.archive];
    if (!table) throw damagedIndex('members of an archive that the header does not name');
    for (const offset of line.offsets) {
      const last = table.at(-1);
      if (last === undefined ? offset !== 0 : offset <= last) throw damagedIndex('members out of order');
      table.push(offset);
    }
  }
}

async function* readEntries(
  lines: AsyncGenerator<string>,
  { archives, version }: IndexHeader,
  first: IndexLine,
): AsyncGenerator<IndexEntry> {
  let before: Buffer | null = null;
  let count = 0;
  try {
    for (let line = first; ; ) {
      if (line.kind === 'members') throw damagedIndex('members behind an entry');
      if (line.kind === 'end') {
        if (line.entries !== count) throw damagedIndex(`${count} entries where it counts ${line.entries}`);
        if (!(await lines.next()).done) throw damagedIndex('lines behind its end');
        return;
      }
      if (before !== null && comparePaths(before, line.entry.path) >= 0) throw damagedIndex('not sorted');
      before = line.entry.path;
      count += 1;
      yield line.entry;
      const { done, value } = await lines.next();
      if (done) throw damagedIndex('it ends too early');
      line = decodeLine(value, archives.length, version);
    }
  } finally {
    await lines.return(undefined);
  }
}

async function* textLines(stored: Readable): AsyncGenerator<string> {
  const gunzip = createGunzip();
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
      let from = 0;
      const bytes = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      for (let end = bytes.indexOf(0x0a, from); end >= 0; end = bytes.indexOf(0x0a, from)) {
        yield decode(bytes.subarray(from, end));
        from = end + 1;
      }
      rest = bytes.subarray(from);
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

const utf8 = new TextDecoder('utf-8', { fatal: true });

function decode(bytes: Buffer): string {
  try {
    return utf8.decode(bytes);
  } catch {
    throw damagedIndex('a line that is not UTF-8');
  }
}
