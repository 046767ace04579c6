import { comparePaths } from '../path-order.ts';
import { encodeEntry } from './entry-lines.ts';
import type { IndexEntry } from './format.ts';

/** An entry, and its line: what `encodeEntry` makes of it. */
export interface IndexedEntry {
  entry: IndexEntry;
  line: string;
}

export function withLine(entry: IndexEntry): IndexedEntry {
  return { entry, line: encodeEntry(entry) };
}

/** Lines of an index that follow each other, and what whoever writes an index needs to know of them. */
export interface EncodedRun {
  /** The paths of the first and of the last. */
  first: Buffer;
  last: Buffer;
  /** Each line with its end. */
  text: Buffer;
  entries: number;
  /** How many are files, or further names of one. */
  files: number;
  /** Of the files' contents, each counted with the first of its names. */
  contentBytes: number;
  /** The archives that they point into. */
  archives: number[];
}

/** At least one, sorted as `comparePaths` has it, each path once: else TypeError. */
export function encodeRun(items: readonly IndexedEntry[]): EncodedRun {
  const [first, last] = [items[0], items.at(-1)];
  if (first === undefined || last === undefined) throw new TypeError('A run of no entries.');
  const archives = new Set<number>();
  let [text, files, contentBytes] = ['', 0, 0];
  let before: Buffer | null = null;
  for (const { entry, line } of items) {
    if (before !== null) assertSorted(before, entry.path);
    before = entry.path;
    text += `${line}\n`;
    if (entry.type === 'file' || entry.type === 'hardlink') files += 1;
    if (entry.type === 'file') contentBytes += entry.size;
    archives.add(entry.at.archive);
  }
  return {
    ...{ first: first.entry.path, last: last.entry.path, text: Buffer.from(text, 'utf8') },
    ...{ entries: items.length, files, contentBytes, archives: [...archives] },
  };
}

/** TypeError when `path` does not come behind `before`. */
export function assertSorted(before: Buffer, path: Buffer): void {
  if (comparePaths(before, path) < 0) return;
  throw new TypeError(`The index's entries are not sorted at ${JSON.stringify(path.toString())}.`);
}
