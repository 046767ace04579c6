import { type IndexEntry, type IndexedEntry, type LargeCopy, SMALL_BYTES, withLine } from '@tarfleet/archive';
import { type Facts, isRecent } from '../capture/facts.ts';
import type { GoneFiles } from './gone-files.ts';

/** So many large files are looked at; the others are read. */
const CANDIDATES_MAX = 10_000;

export interface LargeFile {
  path: Buffer;
  facts: Facts;
}

/** Asks the server about files before any of them is read. */
export interface LargeFileLook {
  /** SHA-256 of their contents, in hex; null for what could not be read. */
  hashes(paths: readonly Buffer[]): Promise<(string | null)[]>;
  /** The attributes that an archive would hold of it (`EntryEnd`); null when that would be something else than the file. */
  xattrs(file: LargeFile): Promise<string | null>;
}

/** What was found out about files over `SMALL_BYTES`. */
export interface LargeFiles {
  /** Sorted by path. */
  copies: LargeCopy[];
  isCopy(path: Buffer): boolean;
  /** Its entry, when it is what an earlier archive holds under another name. */
  moved(path: Buffer): IndexedEntry | null;
}

export const NO_LARGE_FILES: LargeFiles = { copies: [], isCopy: () => false, moved: () => null };

/** Gathers the files to look at, in the order of paths. */
export function createLargeCandidates() {
  const files: LargeFile[] = [];
  return {
    files,
    see(path: Buffer, facts: Facts): void {
      if (facts.type !== 'f' || facts.links !== 1 || facts.size <= SMALL_BYTES) return;
      if (files.length < CANDIDATES_MAX) files.push({ path: Buffer.from(path), facts });
    },
  };
}

interface Options {
  gone: GoneFiles;
  deduplicate: boolean;
  /** The server's time right before the scan, in seconds. */
  clock: number;
  look: LargeFileLook;
}

/**
 * Which of these files have moved since the earlier backup, and (`deduplicate`) which have content, owner, mode, time
 * and attributes of another one. Only what may be either is read on the server.
 */
export async function findLargeFiles(
  files: readonly LargeFile[],
  { gone, deduplicate, clock, look }: Options,
): Promise<LargeFiles> {
  const alike = countBy(files, factsKey);
  const asked = files.flatMap((file) => {
    const from = gone.find(file.facts);
    const mayRepeat = deduplicate && (alike.get(factsKey(file)) ?? 0) > 1;
    return from || mayRepeat ? [{ file, from }] : [];
  });
  if (asked.length === 0) return NO_LARGE_FILES;
  const hashes = await look.hashes(asked.map(({ file }) => file.path));
  const known = asked.flatMap(({ file, from }, at) => {
    const sha256 = hashes[at];
    return sha256 ? [{ file, sha256, from: from?.sha256 === sha256 ? from : null }] : [];
  });
  const same = countBy(known, ({ file, sha256 }) => `${factsKey(file)} ${sha256}`);
  const moved = new Map<string, IndexedEntry>();
  const originals = new Map<string, Buffer>();
  const copies = new Map<string, LargeCopy>();
  for (const { file, sha256, from } of known) {
    const { path, facts } = file;
    const mayRepeat = deduplicate && (same.get(`${factsKey(file)} ${sha256}`) ?? 0) > 1;
    const xattrs = from || mayRepeat ? await look.xattrs(file) : null;
    if (xattrs === null) continue;
    if (from?.xattrs === xattrs) {
      moved.set(path.toString('latin1'), withLine(movedEntry(file, from, clock)));
      continue;
    }
    const key = `${factsKey(file)} ${sha256} ${xattrs}`;
    const original = originals.get(key);
    if (!mayRepeat) continue;
    if (original) copies.set(path.toString('latin1'), { ...facts, path, original, sha256, xattrs });
    else originals.set(key, path);
  }
  return {
    copies: [...copies.values()],
    isCopy: (path) => copies.has(path.toString('latin1')),
    moved: (path) => moved.get(path.toString('latin1')) ?? null,
  };
}

function movedEntry({ path, facts }: LargeFile, from: IndexEntry, clock: number): IndexEntry {
  const as = from.as ?? from.path;
  return {
    ...from,
    ...{ path, as: as.equals(path) ? null : as, copy: null },
    ...{ ctime: facts.ctime, inode: facts.inode, again: isRecent(facts, clock) },
  };
}

function factsKey({ facts: { size, mode, uid, gid, mtime } }: { facts: Facts }): string {
  return `${size} ${mode} ${uid} ${gid} ${mtime}`;
}

function countBy<T>(items: readonly T[], keyOf: (item: T) => string): Map<string, number> {
  const counts = new Map<string, number>();
  for (const item of items) counts.set(keyOf(item), (counts.get(keyOf(item)) ?? 0) + 1);
  return counts;
}
