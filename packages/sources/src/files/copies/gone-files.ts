import { decodeLine, encodeEntry, INDEX_VERSION, type IndexEntry } from '@tarfleet/archive';
import type { Facts } from '../capture/facts.ts';

/** So many files are remembered; what moved beyond them is read like any new file. */
const REMEMBERED_MAX = 100_000;

/** Files of the earlier backup that are no longer where they were, by what a rename leaves as it is. */
export interface GoneFiles {
  add(entry: IndexEntry): void;
  /** The one that may be this file now. Whether it is, its content and attributes must say. */
  find(facts: Facts): IndexEntry | null;
}

export function createGoneFiles(): GoneFiles {
  // As text, which takes less room.
  const lines = new Map<string, string>();
  return {
    add(entry) {
      const { type, inode, size, sha256, xattrs } = entry;
      if (type !== 'file' || size === 0 || sha256 === null || xattrs === null) return;
      if (inode !== null && lines.size < REMEMBERED_MAX) {
        lines.set(keyOf({ ...entry, inode }), encodeEntry(entry));
      }
    },
    find({ type, links, inode, ...facts }) {
      if (type !== 'f' || links !== 1 || inode === null) return null;
      const line = lines.get(keyOf({ ...facts, inode }));
      return line === undefined ? null : entryOf(line);
    },
  };
}

/** The entry of an index's line that was written here. */
export function entryOf(line: string): IndexEntry {
  const decoded = decodeLine(line, Number.POSITIVE_INFINITY, INDEX_VERSION);
  if (decoded.kind === 'entry') return decoded.entry;
  throw new TypeError('No entry is in this line.');
}

type Lasting = Pick<Facts, 'size' | 'mtime' | 'mode' | 'uid' | 'gid'> & { inode: string };

function keyOf({ inode, size, mtime, mode, uid, gid }: Lasting): string {
  return `${inode} ${size} ${mtime} ${mode} ${uid} ${gid}`;
}
