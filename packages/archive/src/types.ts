/** The archive's own words. See `docs/archive-format.md` for the bytes. */

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

export interface MemberOptions {
  enabled: boolean;
  /** 1 to 9; ignored when not enabled (the members are then stored blocks, still valid gzip). */
  level: number;
  /** How many blocks are compressed side by side. */
  parallel: number;
}
