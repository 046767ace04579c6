/** The index: one line of JSON for each entry of a backup, sorted by path. See `docs/archive-format.md`. */
import { isUtf8 } from 'node:buffer';
import { createParser, Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import type { TarEntry } from '../types.ts';

export const INDEX_VERSION = 1;

const closed = { additionalProperties: false } as const;
const Natural = Type.Integer({ minimum: 0 });
/** Bytes of tar, which come in blocks. */
const Blocks = Type.Integer({ minimum: 0, multipleOf: 512 });
const Base64 = Type.String({ pattern: '^[A-Za-z0-9+/]+={0,2}$' });

export const IndexArchive = Type.Object(
  {
    backupId: Uuid,
    artifactId: Uuid,
    /** Relative to the folder of this backup's manifest. */
    name: Type.String({ pattern: '^(\\.\\./)*[A-Za-z0-9][A-Za-z0-9_./-]*\\.tar\\.gz(\\.enc)?$' }),
    /** How long it is before encryption, in bytes. */
    bytes: Natural,
    /** How much tar each of its members but the last holds, in bytes. */
    blockBytes: Type.Integer({ minimum: 512, maximum: 64 * 1024 * 1024 }),
    /** How many members it has. */
    members: Type.Integer({ minimum: 1 }),
  },
  closed,
);
export type IndexArchive = Static<typeof IndexArchive>;

/** The first line. */
export const IndexHeader = Type.Object(
  {
    format: Type.Literal('tarfleet-index'),
    version: Type.Literal(INDEX_VERSION),
    backupId: Uuid,
    artifactId: Uuid,
    /** The paths that were backed up, as the archive's own first header has them. */
    roots: Type.String({ pattern: '^tarfleet-roots' }),
    /** Archives that hold the contents; the first is the artifact's own. */
    archives: Type.Array(IndexArchive, { minItems: 1 }),
  },
  closed,
);
export type IndexHeader = Static<typeof IndexHeader>;

const Line = Type.Object(
  {
    /** Absolute; `path_b64` instead where the bytes are not UTF-8. */
    path: Type.Optional(Type.String({ pattern: '^/' })),
    path_b64: Type.Optional(Base64),
    type: Type.Enum([
      ...['file', 'directory', 'symlink', 'hardlink', 'character-device', 'block-device', 'fifo', 'other'],
    ] as TarEntry['type'][]),
    size: Natural,
    mode: Natural,
    uid: Natural,
    gid: Natural,
    /** Seconds since 1970 with up to nine decimals, as text. */
    mtime: Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' }),
    ctime: Type.Optional(Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' })),
    ino: Type.Optional(Type.String({ pattern: '^\\d+$' })),
    link: Type.Optional(Type.String()),
    link_b64: Type.Optional(Base64),
    /** Of a regular file's content as the archive has it. */
    sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    /** It may have changed since it was seen, or while it was read: the next incremental reads it again. */
    again: Type.Optional(Type.Literal(true)),
    /** Which archive, where its first header block lies in the tar stream, how many bytes up to the next entry. */
    at: Type.Tuple([Natural, Blocks, Type.Integer({ minimum: 512, multipleOf: 512 })]),
  },
  closed,
);
type Line = Static<typeof Line>;

const Members = Type.Object({ archive: Natural, members: Type.Array(Natural, { minItems: 1 }) }, closed);
const End = Type.Object({ entries: Natural }, closed);

export interface IndexEntry {
  /** As bytes, absolute. */
  path: Buffer;
  type: Line['type'];
  size: number;
  mode: number;
  uid: number;
  gid: number;
  mtime: string;
  ctime: string | null;
  /** Null where the server does not tell. */
  inode: string | null;
  linkTarget: Buffer | null;
  sha256: string | null;
  /** To be read again by the next incremental, whatever the comparison says. */
  again: boolean;
  at: { archive: number; offset: number; bytes: number };
}

export type IndexLine =
  | { kind: 'entry'; entry: IndexEntry }
  /** Where members of an archive begin among its bytes before encryption; the lists of one archive follow each other. */
  | { kind: 'members'; archive: number; offsets: number[] }
  | { kind: 'end'; entries: number };

const parseHeader = createParser(IndexHeader);
const parseLine = createParser(Line);
const parseMembers = createParser(Members);
const parseEnd = createParser(End);

/** One entry's line, without its end, and what whoever writes an index needs to know of it. */
export interface EncodedEntry {
  path: Buffer;
  line: string;
  /** A file, or a further name of one. */
  isFile: boolean;
  /** Of a file's content, counted with the first of its names. */
  contentBytes: number;
  archive: number;
}

export function encodeEntry(entry: IndexEntry): EncodedEntry {
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
  if (entry.again) line.again = true;
  line.at = [at.archive, at.offset, at.bytes];
  return {
    path,
    line: JSON.stringify(line),
    isFile: type === 'file' || type === 'hardlink',
    contentBytes: type === 'file' ? size : 0,
    archive: at.archive,
  };
}

/** BACKUP_CORRUPTED for what is no header, NOT_SUPPORTED for one of a later version. */
export function decodeHeader(line: string): IndexHeader {
  const value = parseJson(line);
  const parsed = parseHeader(value);
  if (parsed.ok) return parsed.value;
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === 'tarfleet-index' && Number.isInteger(version) && Number(version) > INDEX_VERSION) {
    throw new AppError(
      'NOT_SUPPORTED',
      `The backup's index has version ${Number(version)}; this program reads version ${INDEX_VERSION}. Use a later one.`,
    );
  }
  throw damagedIndex(parsed.faults.join('; '));
}

export function decodeLine(line: string, archives: number): IndexLine {
  const value = parseJson(line) as Record<string, unknown>;
  if ('type' in value) return { kind: 'entry', entry: toEntry(check(parseLine(value)), archives) };
  if ('members' in value) {
    const { archive, members } = check(parseMembers(value));
    return { kind: 'members', archive, offsets: members };
  }
  return { kind: 'end', entries: check(parseEnd(value)).entries };
}

function toEntry(line: Line, archives: number): IndexEntry {
  const [archive, offset, bytes] = line.at;
  const path = bytesOf(line.path, line.path_b64);
  if (path === null || path[0] !== 0x2f || path.includes(0)) throw damagedIndex('an entry without a path');
  if (archive >= archives) throw damagedIndex('an entry in an archive that the header does not name');
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
    again: line.again ?? false,
    at: { archive, offset, bytes },
  };
}

export function damagedIndex(what: string): AppError {
  return new AppError('BACKUP_CORRUPTED', `The backup's index is damaged (${what}). Use another backup.`);
}

function putText(line: Record<keyof Line, unknown>, key: 'path' | 'link', bytes: Buffer): void {
  if (isUtf8(bytes)) line[key] = bytes.toString('utf8');
  else line[`${key}_b64`] = bytes.toString('base64');
}

function bytesOf(plain: string | undefined, base64: string | undefined): Buffer | null {
  if (plain !== undefined && base64 !== undefined) throw damagedIndex('a name given twice');
  if (plain !== undefined) return Buffer.from(plain, 'utf8');
  return base64 === undefined ? null : Buffer.from(base64, 'base64');
}

function parseJson(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw damagedIndex('a line that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw damagedIndex('a line that is no object');
  return value;
}

function check<T>(parsed: { ok: true; value: T } | { ok: false; faults: string[] }): T {
  if (parsed.ok) return parsed.value;
  throw damagedIndex(parsed.faults.join('; '));
}
