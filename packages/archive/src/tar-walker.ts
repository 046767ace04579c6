import { createHash, type Hash } from 'node:crypto';
import { Transform, type TransformCallback } from 'node:stream';
import { buildEntry, type Extensions } from './tar-entry.ts';
import { malformed, parseHeader, TAR_BLOCK } from './tar-header.ts';
import { parsePax, refuseLocalKeys } from './tar-pax.ts';
import type { EntryEnd, TarEntry } from './types.ts';

/** The longest extended header or long name that is read, in bytes. */
const EXTENSION_MAX = 1024 * 1024;
/** Header blocks that carry something for the entry after them. */
const EXTENSION_TYPES = new Set(['x', 'g', 'L', 'K']);

export interface TarWalkerOptions {
  /**
   * Called for each entry before the last byte of its header is passed on, so whoever reads behind the walker has
   * not seen it yet. What it throws becomes the stream's error.
   */
  onEntry(entry: TarEntry): void;
  /** Called when all of an entry has passed, its padding too. Contents are hashed only when this is given. */
  onEnd?(entry: TarEntry, end: EntryEnd): void;
  /** Called with the `comment` of a global header, under the same conditions. */
  onComment?(comment: Buffer): void;
}

/**
 * Passes a tar stream on unchanged while it reads the headers: ustar, GNU and pax, in any mixture; names as bytes.
 * It ends cleanly only after the two zero blocks that end an archive, with nothing but zeros behind them;
 * anything else is ARCHIVE_MALFORMED. Formats: POSIX.1-2001 `pax`, and GNU tar's manual, "Tar Internals".
 */
export function createTarWalker(options: TarWalkerOptions): Transform {
  const parser = createTarParser(options);
  return new Transform({
    transform(chunk: Buffer, _encoding, callback: TransformCallback) {
      try {
        parser.take(chunk);
      } catch (error) {
        callback(error as Error);
        return;
      }
      callback(null, chunk);
    },
    flush(callback: TransformCallback) {
      try {
        parser.end();
      } catch (error) {
        callback(error as Error);
        return;
      }
      callback();
    },
  });
}

type State = 'header' | 'sparse-map' | 'extension' | 'content' | 'end';

interface TarParser {
  take(chunk: Buffer): void;
  end(): void;
}

function createTarParser({ onEntry, onEnd, onComment }: TarWalkerOptions): TarParser {
  const block = Buffer.alloc(TAR_BLOCK);
  let state: State = 'header';
  /** Where the byte that comes next lies in the stream. */
  let position = 0;
  let filled = 0;
  /** What is still to come of content, or of an extension, padding not counted in the latter. */
  let left = 0;
  let zeroBlocks = 0;
  let extension = { type: '', offset: 0, body: Buffer.alloc(0), filled: 0 };
  let content = 0;
  /** The entry that is passing, its content's hash, and how much of the content is still to be hashed. */
  let open: { entry: TarEntry; hash: Hash | null; left: number } | null = null;
  let before: Extensions = noExtensions(0, new Map());

  const endEntry = (): void => {
    if (open === null) return;
    const { entry, hash } = open;
    open = null;
    onEnd?.(entry, { bytes: position - entry.offset, sha256: hash?.digest('hex') ?? null });
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
      if (zeroBlocks === 2) state = 'end';
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
    onEntry(built.entry);
    content = built.content;
    if (onEnd) {
      const hash = built.entry.type === 'file' ? createHash('sha256') : null;
      open = { entry: built.entry, hash, left: content };
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
  };
}

function noExtensions(offset: number, global: Extensions['global']): Extensions {
  return { pax: null, global, longName: null, longLink: null, offset };
}

function hasExtensions(before: Extensions): boolean {
  return before.pax !== null || before.longName !== null || before.longLink !== null;
}

const ZEROS = Buffer.alloc(64 * 1024);

function isZero(bytes: Buffer): boolean {
  for (let from = 0; from < bytes.length; from += ZEROS.length) {
    const part = bytes.subarray(from, from + ZEROS.length);
    if (!part.equals(ZEROS.subarray(0, part.length))) return false;
  }
  return true;
}
