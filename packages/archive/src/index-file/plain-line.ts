import type { IndexEntry } from './format.ts';

/** A line that is exactly what `encodeEntry` makes of its entry. */
export interface PlainLine {
  entry: IndexEntry;
  /** The line before the archive's number, and behind it. */
  head: string;
  tail: string;
}

const TEXT = '[^"\\\\\\x00-\\x1f]*';
/** Small enough that it is the same as a number and as text. */
const NATURAL = '(0|[1-9]\\d{0,14})';
const TIME = '(-?\\d+(?:\\.\\d+)?)';
const HASH = '[0-9a-f]{64}';
const TYPE = '(file|directory|symlink|hardlink|character-device|block-device|fifo|other)';

const PLAIN = new RegExp(
  [
    `^(\\{"path":"(/${TEXT})","type":"${TYPE}","size":${NATURAL},"mode":${NATURAL},"uid":${NATURAL}`,
    `,"gid":${NATURAL},"mtime":"${TIME}"(?:,"ctime":"${TIME}")?(?:,"ino":"(\\d+)")?(?:,"link":"(${TEXT})")?`,
    `(?:,"sha256":"(${HASH})")?(?:,"xattrs":(null|"${HASH}"))?(,"again":true)?(?:,"as":"(/${TEXT})")?`,
    `,"at":\\[)${NATURAL}(,${NATURAL},${NATURAL}\\](?:,"copy":\\[${NATURAL},${NATURAL}\\])?\\})$`,
  ].join(''),
);

/**
 * Reads an entry's line of the present version in the one form that `encodeEntry` gives it, several times as fast as
 * JSON and the schema do. Null for every other line, sound or not: that is for `decodeLine` to say.
 */
export function readPlainLine(line: string, archives: number): PlainLine | null {
  const found = PLAIN.exec(line);
  if (found === null) return null;
  // What is optional may be undefined; the others are there.
  const [, head = '', path = '', type = '', size, mode, uid, gid, mtime = '', ctime, inode, link, sha256] =
    found;
  const [xattrs, again, as, archive, tail = '', offset, bytes, copyOffset, copyBytes] = found.slice(13);
  const at = { archive: Number(archive), offset: Number(offset), bytes: Number(bytes) };
  if (at.archive >= archives || !isPlace(at)) return null;
  if (as !== undefined && type !== 'file') return null;
  const copy = copyOffset === undefined ? null : { offset: Number(copyOffset), bytes: Number(copyBytes) };
  if (copy !== null && (as === undefined || !isPlace(copy))) return null;
  const entry: IndexEntry = {
    path: Buffer.from(path, 'utf8'),
    type: type as IndexEntry['type'],
    size: Number(size),
    mode: Number(mode),
    uid: Number(uid),
    gid: Number(gid),
    mtime,
    ctime: ctime ?? null,
    inode: inode ?? null,
    linkTarget: link === undefined ? null : Buffer.from(link, 'utf8'),
    sha256: sha256 ?? null,
    xattrs: xattrs === undefined ? '' : xattrs === 'null' ? null : xattrs.slice(1, -1),
    again: again !== undefined,
    as: as === undefined ? null : Buffer.from(as, 'utf8'),
    at,
    copy,
  };
  return { entry, head, tail };
}

/** Of blocks of tar, one at least. */
function isPlace({ offset, bytes }: { offset: number; bytes: number }): boolean {
  return offset % 512 === 0 && bytes % 512 === 0 && bytes > 0;
}
