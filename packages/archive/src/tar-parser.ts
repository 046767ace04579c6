import { createHash, type Hash } from 'node:crypto';
import { buildEntry, type Extensions, type TarHead, xattrsOf } from './tar-entry.ts';
import { malformed, parseHeader, TAR_BLOCK } from './tar-header.ts';
import { type PaxRecords, parsePax, refuseLocalKeys } from './tar-pax.ts';
import type { EntryEnd, TarEntry } from './types.ts';

/** The longest extended header or long name that is read, in bytes. */
const EXTENSION_MAX = 1024 * 1024;
/** All that global headers say together, in bytes: it stays in memory until the end. */
const GLOBAL_MAX = 1024 * 1024;
/** The zeros that may follow the end, in bytes: writers fill up a record, which is 10 KiB mostly. */
const PADDING_MAX = 16 * 1024 * 1024;
/** Header blocks that carry something for the entry after them. */
const EXTENSION_TYPES = new Set(['x', 'g', 'L', 'K']);

export interface TarParserOptions {
  /** With the last byte of an entry's headers. */
  onEntry(entry: TarEntry, head: TarHead): void;
  /** With the last byte of its padding. Contents are hashed only when this is given. */
  onEnd?(entry: TarEntry, end: EntryEnd, head: TarHead): void;
  /** With the `comment` of a global header. */
  onComment?(comment: Buffer): void;
  /** With the last of the two zero blocks that end an archive, which begin at this offset. */
  onClose?(offset: number): void;
}

type State = 'header' | 'sparse-map' | 'extension' | 'content' | 'end';

/** Reads a tar stream piece by piece, and tells of what it finds. What its listeners throw comes out of `take`. */
export interface TarParser {
  take(chunk: Buffer): void;
  /** There is no more. Throws ARCHIVE_MALFORMED where more is wanted. */
  end(): void;
  /** What lies before this offset belongs to nothing whose headers are not all there. */
  settled(): number;
}

export function createTarParser({ onEntry, onEnd, onComment, onClose }: TarParserOptions): TarParser {
  const block = Buffer.alloc(TAR_BLOCK);
  let state: State = 'header';
  /** Where the byte that comes next lies in the stream. */
  let position = 0;
  let filled = 0;
  /** What is still to come of content, or of an extension, padding not counted in the latter. */
  let left = 0;
  let zeroBlocks = 0;
  let padding = 0;
  let extension = { type: '', offset: 0, body: Buffer.alloc(0), filled: 0 };
  let content = 0;
  /** The entry that is passing, its content's hash, and how much of the content is still to be hashed. */
  let open: { entry: TarEntry; head: TarHead; hash: Hash | null; left: number } | null = null;
  let before: Extensions = noExtensions(0, new Map());

  const endEntry = (): void => {
    if (open === null) return;
    const { entry, head, hash } = open;
    open = null;
    const sha256 = hash?.digest('hex') ?? null;
    onEnd?.(entry, { bytes: position - entry.offset, sha256, xattrs: xattrsOf(head) }, head);
  };

  const startContent = (bytes: number): void => {
    left = Math.ceil(bytes / TAR_BLOCK) * TAR_BLOCK;
    state = left > 0 ? 'content' : 'header';
    if (left === 0) endEntry();
  };

  const hashContent = (chunk: Buffer, from: number, used: number): void => {
    if (!open?.hash || open.left === 0) return;
    const bytes = Math.min(open.left, used);
    open.hash.update(chunk.subarray(from, from + bytes));
    open.left -= bytes;
  };

  const takeHeader = (): void => {
    const offset = position - TAR_BLOCK;
    if (isZero(block)) {
      zeroBlocks += 1;
      if (hasExtensions(before)) throw malformed('an extended header without an entry', offset);
      if (zeroBlocks === 2) {
        state = 'end';
        onClose?.(offset - TAR_BLOCK);
      }
      return;
    }
    if (zeroBlocks > 0) throw malformed('a lone zero block', offset);
    const header = parseHeader(block, offset);
    if (!hasExtensions(before)) before = noExtensions(offset, before.global);
    if (EXTENSION_TYPES.has(header.typeflag)) {
      if (header.size > EXTENSION_MAX) throw malformed('extended header too long', offset);
      extension = { type: header.typeflag, offset, body: Buffer.alloc(header.size), filled: 0 };
      left = Math.ceil(header.size / TAR_BLOCK) * TAR_BLOCK;
      state = 'extension';
      if (left === 0) takeExtension();
      return;
    }
    const built = buildEntry(header, before);
    before = noExtensions(position, before.global);
    onEntry(built.entry, built.head);
    content = built.content;
    if (onEnd) {
      const hash = built.entry.type === 'file' ? createHash('sha256') : null;
      open = { entry: built.entry, head: built.head, hash, left: content };
    }
    if (header.sparseContinues) state = 'sparse-map';
    else startContent(content);
  };

  const takeExtension = (): void => {
    const { type, offset, body } = extension;
    state = 'header';
    if (type === 'L' || type === 'K') {
      const key = type === 'L' ? 'longName' : 'longLink';
      if (before[key]) throw malformed('two long names', offset);
      before[key] = body[body.length - 1] === 0 ? body.subarray(0, -1) : body;
    } else if (type === 'x') {
      if (before.pax) throw malformed('two extended headers', offset);
      before.pax = parsePax(body, offset);
    } else {
      const records = parsePax(body, offset);
      refuseLocalKeys(records, offset);
      before.global = new Map([...before.global, ...records]);
      if (lengthOf(before.global) > GLOBAL_MAX) throw malformed('global extended headers too long', offset);
      const comment = records.get('comment');
      if (comment) onComment?.(comment);
    }
  };

  const takeBlock = (): void => {
    if (state === 'header') takeHeader();
    // The last byte of interest in a further block of an old GNU sparse map says whether yet another follows.
    else if (block[504] === 0) startContent(content);
  };

  const takePart = (chunk: Buffer, from: number): number => {
    if (state === 'header' || state === 'sparse-map') {
      const used = chunk.copy(block, filled, from, from + TAR_BLOCK - filled);
      filled += used;
      position += used;
      if (filled === TAR_BLOCK) {
        filled = 0;
        takeBlock();
      }
      return used;
    }
    if (state === 'end') {
      const used = chunk.length - from;
      if (!isZero(chunk.subarray(from))) throw malformed('data after the end', position);
      position += used;
      padding += used;
      if (padding > PADDING_MAX) throw malformed('zeros without end', position);
      return used;
    }
    const used = Math.min(left, chunk.length - from);
    if (state === 'extension') {
      extension.filled += chunk.copy(extension.body, extension.filled, from, from + used);
    } else hashContent(chunk, from, used);
    left -= used;
    position += used;
    if (left === 0) {
      if (state === 'extension') takeExtension();
      else {
        state = 'header';
        endEntry();
      }
    }
    return used;
  };

  return {
    take(chunk) {
      for (let from = 0; from < chunk.length; ) from += takePart(chunk, from);
    },
    end() {
      if (state !== 'end') throw malformed('it ends too early', position);
    },
    settled() {
      if (state === 'content' || state === 'end') return position;
      if (hasExtensions(before)) return before.offset;
      if (state === 'extension') return extension.offset;
      return position - filled - zeroBlocks * TAR_BLOCK;
    },
  };
}

function noExtensions(offset: number, global: Extensions['global']): Extensions {
  return { pax: null, global, longName: null, longLink: null, offset };
}

function hasExtensions(before: Extensions): boolean {
  return before.pax !== null || before.longName !== null || before.longLink !== null;
}

function lengthOf(records: PaxRecords): number {
  let bytes = 0;
  for (const [key, value] of records) bytes += key.length + value.length;
  return bytes;
}

const ZEROS = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer): boolean {
  for (let from = 0; from < bytes.length; from += ZEROS.length) {
    const part = bytes.subarray(from, from + ZEROS.length);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
}
