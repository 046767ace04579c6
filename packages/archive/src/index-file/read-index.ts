import type { Readable } from 'node:stream';
import { AppError } from '@tarfleet/kernel';
import { comparePaths } from '../path-order.ts';
import type { IndexedEntry } from './encoded-run.ts';
import { decodeLine, encodeEntry } from './entry-lines.ts';
import { damagedIndex, decodeHeader, INDEX_VERSION, type IndexEntry, type IndexHeader } from './format.ts';
import { type PlainLine, readPlainLine } from './plain-line.ts';
import { textLines } from './text-lines.ts';
import { thenClosed } from './then-closed.ts';

export interface OpenIndex {
  header: IndexHeader;
  /** Where each archive's members begin before encryption, by number of the archive. */
  members: readonly (readonly number[])[];
  /** In the order of the file, which is checked. To be read to the end, or left with `return`. */
  entries: AsyncGenerator<IndexEntry>;
  /**
   * In place of `entries`, some at a time, for an index that builds on this one: with the number that each archive
   * has in that one, and with their lines. BACKUP_CORRUPTED for an archive that has none.
   */
  renumbered(numbers: ReadonlyMap<number, number>): AsyncGenerator<IndexedEntry[]>;
}

/**
 * Reads a gzipped index line by line. `stored` is destroyed however it ends. BACKUP_CORRUPTED for anything that is
 * not exactly one whole index: cut, not sorted, with a path twice, or with lines behind its end.
 */
export async function openIndex(stored: Readable): Promise<OpenIndex> {
  const lines = { more: textLines(stored), batch: [], at: 0 };
  try {
    const header = decodeHeader(await nextLine(lines, 'it is empty'));
    const members = await readMembers(lines, header);
    const found = thenClosed(readEntries(lines, header), lines.more);
    return {
      ...{ header, members, entries: thenClosed(oneByOne(found), found) },
      renumbered: (numbers) => thenClosed(renumbered(found, numbers), found),
    };
  } catch (error) {
    await lines.more.return(undefined);
    throw error;
  }
}

interface Lines {
  more: AsyncGenerator<string[]>;
  batch: readonly string[];
  /** Which one of the batch comes next. */
  at: number;
}

async function nextLine(lines: Lines, atEnd = 'it ends too early'): Promise<string> {
  for (;;) {
    const line = lines.batch[lines.at];
    lines.at += 1;
    if (line !== undefined) return line;
    const { done, value } = await lines.more.next();
    if (done) throw damagedIndex(atEnd);
    lines.batch = value;
    lines.at = 0;
  }
}

/** All the tables; the line behind them comes next. */
async function readMembers(lines: Lines, { archives, version }: IndexHeader): Promise<number[][]> {
  const members: number[][] = archives.map(() => []);
  for (;;) {
    const line = decodeLine(await nextLine(lines), archives.length, version);
    if (line.kind !== 'members') {
      if (archives.some((archive, number) => members[number]?.length !== archive.members)) {
        throw damagedIndex('an archive without all of its members');
      }
      lines.at -= 1;
      return members;
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

/** An entry, and its line around the number of the archive where it can be used again. */
type Found = PlainLine | { entry: IndexEntry; head: null };

async function* readEntries(lines: Lines, { archives, version }: IndexHeader): AsyncGenerator<Found[]> {
  let before: Buffer | null = null;
  let count = 0;
  try {
    for (;;) {
      const batch: Found[] = [];
      // At least one line, and then whatever is here with it.
      for (let text: string | undefined = await nextLine(lines); text !== undefined; ) {
        let found: Found | null = version === INDEX_VERSION ? readPlainLine(text, archives.length) : null;
        if (found === null) {
          const line = decodeLine(text, archives.length, version);
          if (line.kind === 'members') throw damagedIndex('members behind an entry');
          if (line.kind === 'end') {
            if (line.entries !== count)
              throw damagedIndex(`${count} entries where it counts ${line.entries}`);
            if (batch.length > 0) yield batch;
            await assertEnd(lines);
            return;
          }
          found = { entry: line.entry, head: null };
        }
        const { path } = found.entry;
        if (before !== null && comparePaths(before, path) >= 0) throw damagedIndex('not sorted');
        before = path;
        count += 1;
        batch.push(found);
        text = lines.batch[lines.at];
        if (text !== undefined) lines.at += 1;
      }
      yield batch;
    }
  } finally {
    await lines.more.return(undefined);
  }
}

async function assertEnd(lines: Lines): Promise<void> {
  if (lines.at < lines.batch.length || !(await lines.more.next()).done) {
    throw damagedIndex('lines behind its end');
  }
}

async function* oneByOne(batches: AsyncGenerator<Found[]>): AsyncGenerator<IndexEntry> {
  for await (const batch of batches) for (const { entry } of batch) yield entry;
}

async function* renumbered(
  batches: AsyncGenerator<Found[]>,
  numbers: ReadonlyMap<number, number>,
): AsyncGenerator<IndexedEntry[]> {
  for await (const batch of batches) {
    yield batch.map((found) => {
      const { entry } = found;
      const archive = numbers.get(entry.at.archive);
      if (archive === undefined) {
        throw new AppError(
          'BACKUP_CORRUPTED',
          'An index points into an archive that its manifest does not name.',
        );
      }
      entry.at.archive = archive;
      return { entry, line: found.head === null ? encodeEntry(entry) : found.head + archive + found.tail };
    });
  }
}
