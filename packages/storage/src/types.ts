/** What the rest of Tarfleet knows of a destination. Every driver passes the same conformance suite. */
import type { Readable } from 'node:stream';

export interface StoredObject {
  key: string;
  bytes: number;
  /** When the destination says that it was last written, by the destination's clock; null where it does not say. */
  modifiedAt: Date | null;
}

export interface ListedObject extends StoredObject {
  /**
   * True for what can be no object of ours, since its name is no key: somebody else put it there. Its `key` is only
   * for showing, with every byte outside `[A-Za-z0-9._/-]` as `%XX`; no other call takes it.
   */
  foreign: boolean;
}

export interface PutOptions {
  signal: AbortSignal;
  /** A guess of the size in bytes, for the size of upload parts; the stream may be longer or shorter. */
  sizeHint?: number;
  /**
   * Gives the same bytes anew, from their beginning. With it a put that failed for a passing reason may be made again, on
   * its own; each stream is the driver's as the first one is.
   */
  reread?: () => Readable | Promise<Readable>;
  /** Called when all bytes are there and before the object becomes visible, in each try; its rejection discards them. */
  beforeCommit?: () => Promise<void>;
}

export interface PutResult {
  bytes: number;
  /** Hex, of the bytes as they were stored. */
  sha256: string;
}

export interface GetOptions {
  signal: AbortSignal;
  /** From here, in bytes; default 0. */
  start?: number;
  /** How many bytes at most; default to the end. */
  length?: number;
}

export interface LinkOptions {
  /** How long it may be begun to be followed. */
  seconds: number;
  /** The file's name for whoever follows it; of `[A-Za-z0-9._-]`. */
  fileName: string;
}

/**
 * A place for objects, named by keys of `[A-Za-z0-9._/-]`. Errors are AppErrors: OBJECT_NOT_FOUND, OBJECT_EXISTS,
 * STORAGE_FULL, DESTINATION_AUTH_FAILED, DESTINATION_NOT_FOUND, DESTINATION_READ_ONLY, DESTINATION_UNREACHABLE
 * (retryable), STORAGE_FAILED; an abort rejects with the signal's reason.
 */
export interface Storage {
  /**
   * Stores a stream in bounded memory. The object appears whole or not at all; after a failure or an abort
   * nothing of it is left (no part file, no multipart upload). An existing object under the key is replaced.
   * The driver destroys `body` on failure; an error of `body` is the error of the call.
   */
  put(key: string, body: Readable, options: PutOptions): Promise<PutResult>;
  /** Stores a small object only if the key is free (else OBJECT_EXISTS), atomically where the server can. */
  create(key: string, body: Buffer, signal: AbortSignal): Promise<void>;
  /**
   * Opens an object. Resolves when its first bytes are on their way; the caller owns the stream and must end or
   * destroy it. A connection that ends early is taken up again at the byte that is missing; where that does not help it is
   * an error of the stream, never a clean end. So is an object that was changed meanwhile.
   */
  get(key: string, options: GetOptions): Promise<Readable>;
  /**
   * A URL by which anybody reads the object without keys, for a short time. Not there where the destination has no such
   * thing. Whether there is such an object is not looked at.
   */
  link?(key: string, options: LinkOptions): Promise<string>;
  /** Null when there is no such object. */
  stat(key: string, signal: AbortSignal): Promise<StoredObject | null>;
  /** Whatever lies below the prefix (`prefix/...`), others' objects included, page by page, in no fixed order. */
  list(prefix: string, signal: AbortSignal): AsyncIterable<ListedObject>;
  /** No error when there is no such object. */
  delete(key: string, signal: AbortSignal): Promise<void>;
  /** Ends unfinished uploads below the prefix (multipart uploads, part files). Returns how many. */
  abortUploads(prefix: string, signal: AbortSignal): Promise<number>;
  /**
   * The unfinished uploads below the prefix, page by page, in no fixed order: `key` as the object would be called,
   * `bytes` what has arrived of it (0 where the destination does not say), `modifiedAt` its last sign of life.
   */
  listUploads(prefix: string, signal: AbortSignal): AsyncIterable<ListedObject>;
  /** Writes, reads back and deletes a small object, so that every fault of the settings shows. */
  check(signal: AbortSignal): Promise<void>;
  /** Frees connections. The storage is not used after it. */
  close(): Promise<void>;
}

/** An object from a position on. */
export interface OpenedObject {
  /** As of `Storage.get`, except that a cut ends it with an error. */
  body: Readable;
  /** Exactly so many will come. */
  bytes: number;
  /** Another one when the object was changed or replaced; null where the destination does not tell. */
  version: string | null;
}

/** What a driver brings: everything but what is the same for all. */
export type Driver = Omit<Storage, 'check' | 'get'> & {
  open(key: string, options: GetOptions): Promise<OpenedObject>;
};
