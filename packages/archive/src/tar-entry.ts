/** A header block and the extended headers before it, put together to what the entry is. */
import { createHash } from 'node:crypto';
import { malformed, natural, type RawHeader } from './tar-header.ts';
import { type PaxRecords, paxNumber } from './tar-pax.ts';
import type { TarEntry } from './types.ts';

/** What came before the header of an entry and belongs to it. */
export interface Extensions {
  pax: PaxRecords | null;
  global: PaxRecords;
  longName: Buffer | null;
  longLink: Buffer | null;
  /** Where the first of them began. */
  offset: number;
}

/** What its headers say of an entry besides. */
export interface TarHead {
  /** Of its own extended header and the global ones. */
  records: PaxRecords;
  /** Its content is no plain one, but a map and the data of a sparse file. */
  sparse: boolean;
  /** Seconds since 1970, as the headers have it. */
  mtime: string;
}

const TYPES: Record<string, TarEntry['type']> = {
  '\0': 'file',
  '0': 'file',
  '7': 'file',
  S: 'file',
  '1': 'hardlink',
  '2': 'symlink',
  '3': 'character-device',
  '4': 'block-device',
  '5': 'directory',
  '6': 'fifo',
  // A volume's label, a directory of GNU's incremental dumps.
  V: 'other',
  D: 'other',
};

/**
 * The entry, and how many bytes of content follow its header. Refused (ARCHIVE_MALFORMED) is all that another
 * reader could take for something else: content after a link or a folder, a NUL in a name, two long names.
 */
export function buildEntry(
  header: RawHeader,
  before: Extensions,
): { entry: TarEntry; head: TarHead; content: number } {
  const { offset } = before;
  const records: PaxRecords = new Map([...before.global, ...(before.pax ?? [])]);
  const path = chooseName([records.get('path'), before.longName], header.path, 'path', offset);
  const target = chooseName([records.get('linkpath'), before.longLink], header.linkTarget, 'link', offset);
  const content = natural(paxNumber(records, 'size', offset) ?? header.size, 'size', offset);
  const sparseSize =
    paxNumber(records, 'GNU.sparse.realsize', offset) ?? paxNumber(records, 'GNU.sparse.size', offset);
  const name = records.get('GNU.sparse.name') ?? path;
  if (name.includes(0) || name.length === 0) throw malformed('bad path', offset);
  const type = typeOf(header, name, offset);
  if (content > 0 && type !== 'file' && type !== 'other') throw malformed(`content in a ${type}`, offset);
  const isLink = type === 'symlink' || type === 'hardlink';
  if (isLink && target.length === 0) throw malformed('a link without a target', offset);
  const plain = header.typeflag === 'S' ? header.realSize : content;
  const entry: TarEntry = {
    path: name,
    type,
    size: type === 'file' ? natural(sparseSize ?? plain, 'size', offset) : 0,
    mode: header.mode,
    uid: paxNumber(records, 'uid', offset) ?? header.uid,
    gid: paxNumber(records, 'gid', offset) ?? header.gid,
    mtime: paxNumber(records, 'mtime', offset, true) ?? header.mtime,
    linkTarget: isLink ? target : null,
    offset,
  };
  const head: TarHead = {
    records,
    sparse: header.typeflag === 'S' || sparseSize !== undefined || records.has('GNU.sparse.major'),
    mtime: records.get('mtime')?.toString('latin1') || String(header.mtime),
  };
  return { entry, head, content };
}

/** What is said elsewhere, or is no attribute of the file: names, sizes, owners, times, GNU tar's words of sparse files. */
const NO_ATTRIBUTE =
  /^(path|linkpath|size|uid|gid|uname|gname|mtime|atime|ctime|comment|hdrcharset|SCHILY\.(dev|ino|nlink)|GNU\.sparse\..*)$/;

/**
 * SHA-256, in hex, of the records that are an entry's extended attributes and ACLs (whatever is none of the known
 * other ones), sorted by key: of each its key, a NUL, the length of the value in decimal, a NUL, the value. Empty
 * where there are none.
 */
export function xattrsOf({ records }: TarHead): string {
  const keys = [...records.keys()].filter((key) => !NO_ATTRIBUTE.test(key));
  if (keys.length === 0) return '';
  const hash = createHash('sha256');
  for (const key of keys.sort()) {
    const value = records.get(key) ?? Buffer.alloc(0);
    hash.update(`${key}\0${value.length}\0`, 'latin1').update(value);
  }
  return hash.digest('hex');
}

/** A file whose name ends in a slash is a folder: so old archives had it, and so every tar reads it. */
function typeOf(header: RawHeader, path: Buffer, offset: number): TarEntry['type'] {
  const type = TYPES[header.typeflag];
  if (!type) throw malformed(`unknown entry type ${JSON.stringify(header.typeflag)}`, offset);
  return type === 'file' && path[path.length - 1] === 0x2f ? 'directory' : type;
}

function chooseName(
  candidates: (Buffer | null | undefined)[],
  plain: Buffer,
  what: string,
  offset: number,
): Buffer {
  const given = candidates.filter((candidate) => candidate !== null && candidate !== undefined);
  if (given.length > 1) throw malformed(`two long ${what} names`, offset);
  const name = given[0] ?? plain;
  if (name.includes(0)) throw malformed(`NUL in a ${what} name`, offset);
  return name;
}
