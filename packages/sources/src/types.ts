/** What the rest of Tarfleet knows of a source: a service becomes a tar stream, and a tar stream a service. */
import type { Readable } from 'node:stream';
import type { ArchiveRoot, EncodedEntry, IndexEntry, TarEntry } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';

export interface SourceWarning {
  /** FILE_VANISHED, FILE_CHANGED, FILE_SHRANK, FILE_UNREADABLE, SOCKET_SKIPPED, OWNER_NOT_RESTORED, ... */
  code: string;
  message: string;
  /** As bytes, absolute. */
  path?: Buffer;
}

export interface Totals {
  files: number;
  directories: number;
  other: number;
  /** Of the regular files, each hard-linked content once. */
  bytes: number;
}

export interface CaptureOptions {
  session: Session;
  service: ServiceTarget;
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
  /** Each entry as its header passes by. */
  onEntry(entry: TarEntry): void;
  /**
   * What an earlier backup had, sorted by path, its archives numbered as the new index will number them (the new
   * archive is 0). What has not changed since is left out of the tar stream. Null reads everything. The capture
   * reads it to its end or leaves it with `return`. Files that only moved since are left out, too.
   */
  parent: AsyncGenerator<IndexEntry> | null;
  /**
   * Which files become hard links to others that the archive holds, of the same content, owner, mode, time and
   * attributes. With `all` the stream may end in LargeCopyLost, when a large file changed meanwhile: then a capture
   * with `small` holds what is there.
   */
  deduplicate: 'none' | 'small' | 'all';
}

export interface Capture {
  /** The service's paths as they are on the server. */
  roots: ArchiveRoot[];
  /** Of what is to be read, as the scan found it. */
  totals: Totals;
  /**
   * The tar stream, not compressed. The caller must read it to its end or destroy it. It ends cleanly only when
   * the whole capture did; everything else (a broken connection, a short read, tar's own failure) is its error.
   */
  tar: Readable;
  /** Once the tar stream has ended: everything that was there, sorted by path, whichever archive holds it. */
  index(): AsyncGenerator<EncodedEntry>;
  /** Removes what the capture keeps on the worker's disk. Safe to call twice, and at any time. */
  close(): Promise<void>;
}

export interface RestoreOptions {
  session: Session;
  signal: AbortSignal;
  service: ServiceTarget;
  /** Names the working folders, so that another attempt finds and removes what this one left. */
  jobId: string;
  /** Opens the archive's tar stream, from its beginning; called once for each filesystem that targets lie on. */
  openTar(): Promise<Readable>;
  /** What is to be put back; null when the archive itself says. */
  roots: ArchiveRoot[] | null;
  /** In the stream only because names to be put back are links to them. */
  extras: readonly Buffer[];
  /** Null: the paths that were backed up. Else a folder below which they are put, with their whole path. */
  restorePath: string | null;
  /** False: what exists stays as it is and is counted as skipped. */
  overwrite: boolean;
  /** Right before the first change of the target. */
  assertOwned(): Promise<void>;
  warn(warning: SourceWarning): void;
  onEntry(entry: TarEntry): void;
}

export interface RestoreSummary {
  filesRestored: number;
  filesSkipped: number;
  bytesRestored: number;
}

export interface Source {
  /** Errors: PATH_NOT_FOUND (every one of the service's paths is missing), TOOL_MISSING, and the session's. */
  capture(options: CaptureOptions): Promise<Capture>;
  restore(options: RestoreOptions): Promise<RestoreSummary>;
}
