import type { IndexEntry, TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';

/** What the server said of one path before it was read. */
export interface Facts {
  /** find's letter: f, d, l, p, c, b. */
  type: string;
  links: number;
  device: string;
  /** Null where the server does not tell; then no hard link is known as one. */
  inode: string | null;
  size: number;
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970 with ten decimals, as find prints them. */
  mtime: string;
  /** Null where the server does not tell. */
  ctime: string | null;
}

/** In the place of what is not known. */
const UNKNOWN = '-';
const FACTS = /^[A-Za-z?] \d+ \d+ (\d+|-) \d+ [0-7]+ \d+ \d+ -?\d+(\.\d+)? (-?\d+(\.\d+)?|-)$/;

/** The words that `parseFacts` reads. */
export function factsText(facts: Facts): string {
  const { type, links, device, inode, size, mode, uid, gid, mtime, ctime } = facts;
  return [
    type,
    links,
    device,
    inode ?? UNKNOWN,
    size,
    mode.toString(8),
    uid,
    gid,
    mtime,
    ctime ?? UNKNOWN,
  ].join(' ');
}

/** The words of one record of find, without the depth before them. COMMAND_FAILED for anything else. */
export function parseFacts(text: string): Facts {
  if (!FACTS.test(text)) {
    throw new AppError(
      'COMMAND_FAILED',
      `find printed something else than was asked for: ${text.slice(0, 200)}`,
    );
  }
  const words = text.split(' ') as [
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
    string,
  ];
  const [type, links, device, inode, size, mode, uid, gid, mtime, ctime] = words;
  return {
    type,
    links: Number(links),
    device,
    inode: inode === UNKNOWN ? null : inode,
    size: Number(size),
    mode: Number.parseInt(mode, 8),
    uid: Number(uid),
    gid: Number(gid),
    mtime,
    ctime: ctime === UNKNOWN ? null : ctime,
  };
}

const LETTERS: Record<IndexEntry['type'], string> = {
  ...{ file: 'f', hardlink: 'f', directory: 'd', symlink: 'l', fifo: 'p' },
  ...{ 'character-device': 'c', 'block-device': 'b', other: '' },
};

export function isOfType(facts: Facts, entry: Pick<IndexEntry, 'type'>): boolean {
  return LETTERS[entry.type] === facts.type;
}

/**
 * Whether what an earlier backup holds of a path is what is there now: by size, times, inode, owner and mode. What
 * the server tells now and did not tell then, or the other way round, is a difference.
 */
export function isUnchanged(facts: Facts, entry: IndexEntry): boolean {
  return (
    !entry.again &&
    isOfType(facts, entry) &&
    (facts.type !== 'f' || entry.size === facts.size) &&
    entry.mtime === facts.mtime &&
    entry.ctime === facts.ctime &&
    entry.inode === facts.inode &&
    entry.mode === facts.mode &&
    entry.uid === facts.uid &&
    entry.gid === facts.gid
  );
}

/** A filesystem's times may be as coarse as this, in seconds. */
const COARSE = 2;

/** Whether it changed so shortly before the scan that a later change might not show. */
export function isRecent({ ctime, mtime }: Facts, clock: number): boolean {
  // Without a time of the last change, that of the content's has to do.
  return Number(ctime ?? mtime) >= clock - COARSE;
}

/**
 * Whether the archive may hold something else than what the scan saw, or a later change would not show: such a file
 * is read again by the next incremental. `clock` is the server's time right before the scan, in seconds.
 */
export function isDoubtful(facts: Facts, entry: TarEntry, clock: number): boolean {
  return (
    isRecent(facts, clock) ||
    LETTERS[entry.type] !== facts.type ||
    (entry.type === 'file' && entry.size !== facts.size) ||
    entry.mode !== facts.mode ||
    entry.uid !== facts.uid ||
    entry.gid !== facts.gid ||
    Math.abs(entry.mtime - Number(facts.mtime)) > 1e-5
  );
}
