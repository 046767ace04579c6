import type { Transform } from 'node:stream';
import type { IndexEntry } from '../index-file/format.ts';
import { comparePaths } from '../path-order.ts';
import { tarHeader } from '../tar-encoder.ts';
import type { TarHead } from '../tar-entry.ts';
import type { Elsewhere, EntryEnd, TarEntry } from '../types.ts';
import type { FileFacts, Repeats } from './repeats.ts';
import { createTarEditor } from './tar-editor.ts';

/** Larger files are not held in memory, in bytes. */
export const SMALL_BYTES = 8 * 1024 * 1024;
/** So many files are remembered, the newest ones. */
const REMEMBERED_MAX = 100_000;
/** What the extended header of a copy's hard link says, so that it can be told from a name that was one. */
const COPY_COMMENT = 'tarfleet-copy';

/** A file over `SMALL_BYTES` that is not in the stream that is read, since another one in it has the same content. */
export interface LargeCopy extends Omit<FileFacts, 'mtime'> {
  /** Both absolute; the original comes first. */
  path: Buffer;
  original: Buffer;
  /** As the index has it. */
  mtime: string;
  sha256: string;
  xattrs: string;
}

export interface CopyOptions {
  /** Of the files that the stream may have; null: there are no copies but large ones. */
  repeats: Repeats | null;
  /** What an earlier backup had of a small file that may be the one that has this (absolute) path now. */
  movedFrom(path: Buffer): IndexEntry | null;
  /** Sorted by path. */
  largeCopies: readonly LargeCopy[];
  /** Each entry that is written, before it is. */
  onEntry(entry: TarEntry): void;
  /** Each entry that is read, and each large copy; `elsewhere` when its content is not written. */
  onEnd(entry: TarEntry, end: EntryEnd, elsewhere: Elsewhere | null): void;
  /** Each entry of the stream that is read. */
  onRead(): void;
}

/** An original of large copies did not pass, or with another content or other attributes than was found before. */
export class LargeCopyLost extends Error {}

/**
 * Writes hard links in the place of small files whose content, owner, mode, time and attributes are those of a file
 * that has been written, adds those of large ones, and leaves out what an earlier archive holds under another name.
 * Only what has been compared after it was read becomes a link. LargeCopyLost where it would not be one.
 */
export function createCopyEditor(options: CopyOptions): Transform {
  const { repeats, movedFrom, onEntry, onEnd } = options;
  const seen = new Map<string, { path: Buffer; offset: number; bytes: number }>();
  const large = createLargeCopies(options);
  let told = true;

  const remember = (key: string, entry: TarEntry, bytes: number): void => {
    const [oldest] = seen.size >= REMEMBERED_MAX ? seen.keys() : [];
    if (oldest !== undefined) seen.delete(oldest);
    seen.set(key, { path: Buffer.from(entry.path), offset: entry.offset, bytes });
  };

  return createTarEditor({
    onRead: options.onRead,
    insert: large.insert,
    hold(entry, head) {
      const held =
        entry.type === 'file' &&
        entry.size > 0 &&
        entry.size <= SMALL_BYTES &&
        !head.sparse &&
        (repeats?.mayRepeat(entry) || movedFrom(absolute(entry.path)) !== null);
      told = !held;
      if (told) onEntry(entry);
      return held;
    },
    replace(entry, end, head) {
      const from = movedFrom(absolute(entry.path));
      if (from && isSame(entry, end, from)) {
        onEnd(entry, end, { as: from.as ?? from.path, at: from.at, copy: null });
        return Buffer.alloc(0);
      }
      if (!repeats?.mayRepeat(entry)) return null;
      const { size, mode, uid, gid } = entry;
      const key = [end.sha256, size, mode, uid, gid, head.mtime, end.xattrs].join(' ');
      const original = seen.get(key);
      const link = original && linkTo(original.path, { ...entry, mtime: head.mtime });
      if (!link || link.length >= end.bytes) {
        remember(key, entry, end.bytes);
        return null;
      }
      const { offset, bytes, path } = original;
      onEntry({ ...entry, type: 'hardlink', size: 0, linkTarget: path });
      onEnd(entry, end, {
        as: absolute(path),
        at: { archive: 0, offset, bytes },
        copy: { offset: entry.offset, bytes: link.length },
      });
      return link;
    },
    passed(entry, end, head) {
      if (!told) onEntry(entry);
      told = true;
      large.passed(entry, end, head);
      onEnd(entry, end, null);
    },
  });
}

function createLargeCopies({ largeCopies, onEntry, onEnd }: CopyOptions) {
  const originals = new Map<string, Passed | null>(
    largeCopies.map(({ original }) => [original.toString('latin1'), null]),
  );
  let next = 0;
  return {
    passed(entry: TarEntry, end: EntryEnd, head: TarHead): void {
      if (originals.size === 0) return;
      const key = absolute(entry.path).toString('latin1');
      if (originals.has(key) && !head.sparse) originals.set(key, { entry, end });
    },
    insert(before: TarEntry | null, offset: number): Buffer | null {
      const links: Buffer[] = [];
      let at = offset;
      for (; ; next += 1) {
        const copy = largeCopies[next];
        if (!copy || (before !== null && comparePaths(copy.path, absolute(before.path)) > 0)) break;
        const original = originals.get(copy.original.toString('latin1'));
        if (!original || !isOriginal(copy, original)) throw new LargeCopyLost();
        const link = linkTo(original.entry.path, { ...copy, path: copy.path.subarray(1) });
        const entry = { ...original.entry, path: copy.path.subarray(1), offset: at };
        onEntry({ ...entry, type: 'hardlink', size: 0, linkTarget: original.entry.path });
        onEnd(entry, original.end, {
          as: copy.original,
          at: { archive: 0, offset: original.entry.offset, bytes: original.end.bytes },
          copy: { offset: at, bytes: link.length },
        });
        links.push(link);
        at += link.length;
      }
      return links.length > 0 ? Buffer.concat(links) : null;
    },
  };
}

interface Passed {
  entry: TarEntry;
  end: EntryEnd;
}

function isOriginal(copy: LargeCopy, { entry, end }: Passed): boolean {
  return (
    entry.type === 'file' &&
    end.sha256 === copy.sha256 &&
    end.xattrs === copy.xattrs &&
    hasFacts(entry, copy) &&
    entry.mtime === Number(copy.mtime)
  );
}

function isSame(entry: TarEntry, end: EntryEnd, from: IndexEntry): boolean {
  return (
    from.type === 'file' &&
    from.sha256 === end.sha256 &&
    from.xattrs === end.xattrs &&
    hasFacts(entry, from) &&
    entry.mtime === Number(from.mtime)
  );
}

function hasFacts(entry: TarEntry, { size, mode, uid, gid }: Omit<FileFacts, 'mtime'>): boolean {
  return entry.size === size && entry.mode === mode && entry.uid === uid && entry.gid === gid;
}

function linkTo(
  target: Buffer,
  { path, mode, uid, gid, mtime }: { path: Buffer; mode: number; uid: number; gid: number; mtime: string },
): Buffer {
  const facts = { path, mode, uid, gid, mtime };
  return tarHeader({ ...facts, type: 'hardlink', size: 0, linkTarget: target, comment: COPY_COMMENT });
}

const SLASH = Buffer.from('/');

/** As an index has it. */
function absolute(path: Buffer): Buffer {
  return Buffer.concat([SLASH, path[path.length - 1] === 0x2f ? path.subarray(0, -1) : path]);
}
