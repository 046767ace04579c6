/** The lines of an index behind its header. See `docs/archive-format.md`. */
import { isUtf8 } from 'node:buffer';
import { createParser } from '@tarfleet/contracts';
import { check, damagedIndex, End, type IndexEntry, Line, Members, parseJson } from './format.ts';

export type IndexLine =
  | { kind: 'entry'; entry: IndexEntry }
  /** Where members of an archive begin among its bytes before encryption; the lists of one archive follow each other. */
  | { kind: 'members'; archive: number; offsets: number[] }
  | { kind: 'end'; entries: number };

const parseLine = createParser(Line);
const parseMembers = createParser(Members);
const parseEnd = createParser(End);

/** An entry's line, without its end. */
export function encodeEntry(entry: IndexEntry): string {
  const { at, path, type, size, linkTarget } = entry;
  // One object, filled in this order: a million of these are written.
  const line = {} as Record<keyof Line, unknown>;
  putText(line, 'path', path);
  line.type = type;
  line.size = size;
  line.mode = entry.mode;
  line.uid = entry.uid;
  line.gid = entry.gid;
  line.mtime = entry.mtime;
  if (entry.ctime !== null) line.ctime = entry.ctime;
  if (entry.inode !== null) line.ino = entry.inode;
  if (linkTarget !== null) putText(line, 'link', linkTarget);
  if (entry.sha256 !== null) line.sha256 = entry.sha256;
  if (entry.xattrs !== '') line.xattrs = entry.xattrs;
  if (entry.again) line.again = true;
  if (entry.as !== null) putText(line, 'as', entry.as);
  line.at = [at.archive, at.offset, at.bytes];
  if (entry.copy !== null) line.copy = [entry.copy.offset, entry.copy.bytes];
  return JSON.stringify(line);
}

/** `version` is that of the index. */
export function decodeLine(line: string, archives: number, version: number): IndexLine {
  const value = parseJson(line) as Record<string, unknown>;
  if ('type' in value) return { kind: 'entry', entry: toEntry(check(parseLine(value)), archives, version) };
  if ('members' in value) {
    const { archive, members } = check(parseMembers(value));
    return { kind: 'members', archive, offsets: members };
  }
  return { kind: 'end', entries: check(parseEnd(value)).entries };
}

function toEntry(line: Line, archives: number, version: number): IndexEntry {
  const [archive, offset, bytes] = line.at;
  const path = bytesOf(line.path, line.path_b64);
  if (path === null || path[0] !== 0x2f || path.includes(0)) throw damagedIndex('an entry without a path');
  if (archive >= archives) throw damagedIndex('an entry in an archive that the header does not name');
  const as = bytesOf(line.as, line.as_b64);
  if (as !== null && (line.type !== 'file' || as[0] !== 0x2f || as.includes(0))) {
    throw damagedIndex('another name where none can be');
  }
  if (line.copy && as === null) throw damagedIndex('a copy of nothing');
  const knowsCopies = version > 1;
  if (!knowsCopies && (as !== null || line.xattrs !== undefined))
    throw damagedIndex('a field of a later version');
  return {
    path,
    type: line.type,
    size: line.size,
    mode: line.mode,
    uid: line.uid,
    gid: line.gid,
    mtime: line.mtime,
    ctime: line.ctime ?? null,
    inode: line.ino ?? null,
    linkTarget: bytesOf(line.link, line.link_b64),
    sha256: line.sha256 ?? null,
    xattrs: line.xattrs === undefined && knowsCopies ? '' : (line.xattrs ?? null),
    again: line.again ?? false,
    as,
    at: { archive, offset, bytes },
    copy: line.copy ? { offset: line.copy[0], bytes: line.copy[1] } : null,
  };
}

function putText(line: Record<keyof Line, unknown>, key: 'path' | 'link' | 'as', bytes: Buffer): void {
  if (isUtf8(bytes)) line[key] = bytes.toString('utf8');
  else line[`${key}_b64`] = bytes.toString('base64');
}

function bytesOf(plain: string | undefined, base64: string | undefined): Buffer | null {
  if (plain !== undefined && base64 !== undefined) throw damagedIndex('a name given twice');
  if (plain !== undefined) return Buffer.from(plain, 'utf8');
  return base64 === undefined ? null : Buffer.from(base64, 'base64');
}
