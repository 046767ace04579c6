/** What the rest of Tarfleet knows of a source: a service becomes a tar stream, and a tar stream a service. */
import type { Readable } from 'node:stream';
import type { ArchiveRoot, EncodedRun, IndexEntry, IndexedEntry, TarEntry } from '@tarfleet/archive';
import type { DatabaseFacts, PreviewChanges, ServiceTarget } from '@tarfleet/contracts';
import type { Session } from '@tarfleet/transport';

export interface SourceWarning {
  /** FILE_VANISHED, FILE_CHANGED, FILE_SHRANK, FILE_UNREADABLE, SOCKET_SKIPPED, OWNER_NOT_RESTORED, ... */
  code: string;
  message: string;
  /** As bytes, absolute. */
  path?: Buffer;
  /** How many it stands for; left out, one. */
  count?: number;
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
   * What an earlier backup had, some at a time, sorted by path, its archives numbered as the new index will number them (the new
   * archive is 0). What has not changed since is left out of the tar stream. Null reads everything. The capture
   * reads it to its end or leaves it with `return`. Files that only moved since are left out, too.
   */
  parent: AsyncGenerator<IndexedEntry[]> | null;
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
  index(): AsyncGenerator<EncodedRun>;
  /**
   * Once the tar stream has ended: paths that are there and could not be read, wholly or at all; each is told in a
   * warning, too. Null when there were more than 10,000.
   */
  unreadable(): Buffer[] | null;
  /** Of databases alone: once the tar stream has ended, what is in it. */
  database?: () => DatabaseFacts;
  /** Removes what the capture keeps on the worker's disk. Safe to call twice, and at any time. */
  close(): Promise<void>;
}

export interface RestoreSummary {
  filesRestored: number;
  filesSkipped: number;
  bytesRestored: number;
}

/** Where a restore's work is done; `session` runs its commands under the restore's guard. */
export interface RestoreContext {
  session: Session;
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
}

/** What a restore of a database has to know, beside `service.database`, which is where to. */
export interface DatabaseRestore {
  /** What the backup says that it holds. */
  facts: DatabaseFacts;
  /** Whether what is there under the same name makes way. */
  dropExisting: boolean;
  /** Why it does not: there was nothing when it was to be saved. */
  unsaved?: boolean;
}

/** The folder of a destination on the server, absolute and with symlinks resolved. */
export interface DestinationPlace {
  name: string;
  path: Buffer;
}

export interface PrepareOptions extends RestoreContext {
  service: ServiceTarget;
  /** Of databases alone. */
  database?: DatabaseRestore;
  /** Names the working folders, so that another attempt finds them; no two services of a job have the same. */
  jobId: string;
  /** Opens the archive's tar stream, from its beginning; called once for each filesystem that targets lie on. */
  openTar(): Promise<Readable>;
  /** What is to be put back; null when the archive itself says. */
  roots: ArchiveRoot[] | null;
  /** In the stream only because names to be put back are links to them. */
  extras: readonly Buffer[];
  /** Null: the paths that were backed up. Else a folder below which they are put, with their whole path. */
  restorePath: string | null;
  /** True: what is restored takes the place of what is there. False: what exists stays, and is counted as skipped. */
  overwrite: boolean;
  /**
   * Absolute paths that stay as they are where they lie inside what is restored, beside what the backup left out; what
   * is to be restored itself and stands here is left alone, with a warning (PATH_KEPT).
   */
  keep: readonly Buffer[];
  /**
   * Destinations on the server: where they lie inside what is restored they stay, and nothing of the backup comes into
   * them; what would itself be put into one is PATH_REFUSED.
   */
  destinations?: readonly DestinationPlace[];
  /** True: there was nothing in the places when it was to be saved, so nothing that has come since is replaced (CONFLICT). */
  unsaved?: boolean;
  /** What the files to come need, as the index tells it; for the check of free space. */
  needs: { bytes: number; files: number };
  onEntry(entry: TarEntry): void;
  /**
   * Called with what is about to be made, before it is: whoever forgets that removes what there is of it, should this
   * attempt not come back. The last one counts, until `prepare` gives what takes its place.
   */
  claim?(claimed: PreparedRestore): Promise<void>;
  /** What an earlier attempt of the job claimed or prepared, and nobody has forgotten; null: nothing. */
  claimed?: PreparedRestore | null;
}

/**
 * A restore that is unpacked beside its targets and can be put in place: plain JSON, so that it lies in the
 * restore's journal and any worker can go on with it.
 */
export interface PreparedRestore {
  v: 1;
  /** The folders that hold the new files first and the old ones later, for people. */
  folders: string[];
  /** What only the source reads. */
  state: unknown;
}

export interface RestoreSteps {
  /**
   * Whether the files can be put where they belong, before anything is made: tools, places, permissions, free space.
   * Errors: TOOL_MISSING, PATH_REFUSED, INSUFFICIENT_PERMISSIONS, INSUFFICIENT_STORAGE, and the session's.
   */
  check(options: Omit<PrepareOptions, 'openTar' | 'onEntry' | 'claim' | 'claimed'>): Promise<void>;
  /**
   * Unpacks everything beside the targets, in folders that only root enters. Nothing else on the server changes; what
   * an earlier attempt of the job had unpacked or claimed is removed first. Errors: those of `check`, the stream's own,
   * ARCHIVE_MALFORMED, COMMAND_FAILED.
   */
  prepare(options: PrepareOptions): Promise<PreparedRestore>;
  /**
   * Puts it in place and keeps what was there. May be repeated, also after it broke off half-way: then it does the
   * rest. Errors: RESTORE_FAILED, PATH_REFUSED, COMMAND_FAILED, and the session's.
   */
  apply(prepared: PreparedRestore, context: RestoreContext): Promise<RestoreSummary>;
  /** Everything as it was before `apply`, however far that came. May be repeated. Errors: as `apply`. */
  undo(prepared: PreparedRestore, context: RestoreContext): Promise<void>;
  /**
   * Whether `undo` would still bring back what was there before, or why not: something else has been put in its
   * place since, the way back is gone, or one of these destinations holds something now in what would make way.
   */
  undoable(
    prepared: PreparedRestore,
    context: RestoreContext,
    destinations?: readonly DestinationPlace[],
  ): Promise<string | null>;
  /**
   * Removes the working folders, and with them the way back, or what was claimed. May be repeated; what is gone is no error. With
   * `keepOld` only what no `undo` needs.
   */
  forget(prepared: PreparedRestore, context: RestoreContext, options: { keepOld: boolean }): Promise<void>;
}

export interface PreviewOptions extends RestoreContext {
  /** As for `prepare`. */
  service: ServiceTarget;
  database?: DatabaseRestore;
  roots: ArchiveRoot[];
  restorePath: string | null;
  overwrite: boolean;
  keep: readonly Buffer[];
  destinations?: readonly DestinationPlace[];
  /** The backup's index, sorted by path. It is read to its end or left with `return`. */
  entries: AsyncGenerator<IndexEntry>;
  /** Opens the archive's tar stream from its beginning, for what it says of itself there. Whoever opens it destroys it. */
  openTar(): Promise<Readable>;
}

export interface Source extends RestoreSteps {
  /**
   * What a restore would change, from a look at names and attributes; contents are not read (but what an archive of rows
   * says of its tables), and nothing is changed.
   * Errors: TOOL_MISSING, PATH_REFUSED, COMMAND_FAILED, and the session's.
   */
  preview(options: PreviewOptions): Promise<PreviewChanges>;
  /** Errors: PATH_NOT_FOUND (every one of the service's paths is missing), TOOL_MISSING, and the session's. */
  capture(options: CaptureOptions): Promise<Capture>;
}
