/** The index: one line of JSON for each entry of a backup, sorted by path. See `docs/archive-format.md`. */
import { createParser, Uuid } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Static, Type } from 'typebox';
import type { TarEntry } from '../types.ts';

/** What is written; version 1 knew neither `xattrs`, nor `as` and `copy`, and is read as well. */
export const INDEX_VERSION = 2;

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
    version: Type.Union([Type.Literal(1), Type.Literal(INDEX_VERSION)]),
    backupId: Uuid,
    artifactId: Uuid,
    /** The paths that were backed up, as the archive's own first header has them. */
    roots: Type.String({ pattern: '^tarfleet-roots' }),
    /**
     * Paths (bytes, in base64) that were there and could not be read; the backup does not hold them, or not wholly. So are
     * destinations' folders that it left out. Null when there were too many to name, left out when there were none, and
     * by programs that did not write it.
     */
    unreadable: Type.Optional(Type.Union([Type.Array(Base64, { minItems: 1 }), Type.Null()])),
    /** Archives that hold the contents; the first is the artifact's own. */
    archives: Type.Array(IndexArchive, { minItems: 1 }),
  },
  closed,
);
export type IndexHeader = Static<typeof IndexHeader>;

export const Line = Type.Object(
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
    /** Seconds since 1970 with up to ten decimals, as text. */
    mtime: Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' }),
    ctime: Type.Optional(Type.String({ pattern: '^-?\\d+(\\.\\d+)?$' })),
    ino: Type.Optional(Type.String({ pattern: '^\\d+$' })),
    link: Type.Optional(Type.String()),
    link_b64: Type.Optional(Base64),
    /** Of a regular file's content as the archive has it. */
    sha256: Type.Optional(Type.String({ pattern: '^[0-9a-f]{64}$' })),
    /** Of its extended attributes and ACLs; left out where it has none, null where that is not known. */
    xattrs: Type.Optional(Type.Union([Type.String({ pattern: '^[0-9a-f]{64}$' }), Type.Null()])),
    /** It may have changed since it was seen, or while it was read: the next incremental reads it again. */
    again: Type.Optional(Type.Literal(true)),
    /** Of a file, the name under which it stands at `at`, where that is another one. */
    as: Type.Optional(Type.String({ pattern: '^/' })),
    as_b64: Type.Optional(Base64),
    /** Which archive, where its first header block lies in the tar stream, how many bytes up to the next entry. */
    at: Type.Tuple([Natural, Blocks, Type.Integer({ minimum: 512, multipleOf: 512 })]),
    /** The hard link in the same archive that stands in the place of its content: where it begins, how many bytes. */
    copy: Type.Optional(Type.Tuple([Blocks, Type.Integer({ minimum: 512, multipleOf: 512 })])),
  },
  closed,
);
export type Line = Static<typeof Line>;

export const Members = Type.Object(
  { archive: Natural, members: Type.Array(Natural, { minItems: 1 }) },
  closed,
);
export const End = Type.Object({ entries: Natural }, closed);

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
  /** SHA-256 of its extended attributes and ACLs; empty where it has none, null where that is not known. */
  xattrs: string | null;
  /** To be read again by the next incremental, whatever the comparison says. */
  again: boolean;
  /** The (absolute) name under which it stands at `at`; null for its own. */
  as: Buffer | null;
  at: { archive: number; offset: number; bytes: number };
  /** Of a file whose content is that of another one in the same archive: the hard link that stands there for it. */
  copy: { offset: number; bytes: number } | null;
}

const parseHeader = createParser(IndexHeader);

/** BACKUP_CORRUPTED for what is no header, NOT_SUPPORTED for one of a later version. */
export function decodeHeader(line: string): IndexHeader {
  const value = parseJson(line);
  const parsed = parseHeader(value);
  if (parsed.ok) return parsed.value;
  const { format, version } = (value ?? {}) as { format?: unknown; version?: unknown };
  if (format === 'tarfleet-index' && Number.isInteger(version) && Number(version) > INDEX_VERSION) {
    throw new AppError(
      'NOT_SUPPORTED',
      `The backup's index has version ${Number(version)}; this program reads versions up to ${INDEX_VERSION}. Use a later one.`,
    );
  }
  throw damagedIndex(parsed.faults.join('; '));
}

export function damagedIndex(what: string): AppError {
  return new AppError('BACKUP_CORRUPTED', `The backup's index is damaged (${what}). Use another backup.`);
}

export function parseJson(line: string): object {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    throw damagedIndex('a line that is not JSON');
  }
  if (typeof value !== 'object' || value === null) throw damagedIndex('a line that is no object');
  return value;
}

export function check<T>(parsed: { ok: true; value: T } | { ok: false; faults: string[] }): T {
  if (parsed.ok) return parsed.value;
  throw damagedIndex(parsed.faults.join('; '));
}
