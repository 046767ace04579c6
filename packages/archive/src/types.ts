/** The archive's own words. See `docs/archive-format.md` for the bytes. */
import type { Codec } from './deflate/codec.ts';

/** What the walker saw of one tar entry. Names are bytes: they need not be UTF-8. */
export interface TarEntry {
  path: Buffer;
  type:
    | 'file'
    | 'directory'
    | 'symlink'
    | 'hardlink'
    | 'character-device'
    | 'block-device'
    | 'fifo'
    | 'other';
  /** Of the content as the file has it (a sparse file's full length), in bytes. */
  size: number;
  mode: number;
  uid: number;
  gid: number;
  /** Seconds since 1970, with fractions where the archive has them. */
  mtime: number;
  linkTarget: Buffer | null;
  /** Where its first header block begins in the tar stream. */
  offset: number;
}

/** What is known of an entry once all of it has passed. */
export interface EntryEnd {
  /** From its first header block to the next entry's, in bytes of the tar stream. */
  bytes: number;
  /** Hex, of a regular file's content as the archive has it (of a sparse file: its map and its data); else null. */
  sha256: string | null;
  /** Hex, SHA-256 of its extended attributes and ACLs, see `xattrsOf`; empty where it has none. */
  xattrs: string;
}

/** Where the content of a file lies whose own bytes the archive does not hold. */
export interface Elsewhere {
  /** The name under which it lies there, absolute. */
  as: Buffer;
  at: { archive: number; offset: number; bytes: number };
  /** The hard link that the archive holds in its place; null for what another archive holds. */
  copy: { offset: number; bytes: number } | null;
}

export interface MemberOptions {
  /** Who compresses; zlib when it is not given. */
  codec?: Codec;
  enabled: boolean;
  /** 1 to 9; ignored when not enabled (the members are then stored blocks, still valid gzip). */
  level: number;
  /** How many blocks are compressed side by side. */
  parallel: number;
  /** Called for each member in order: where it begins among the stored bytes. */
  onMember?(offset: number): void;
}
