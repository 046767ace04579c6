import {
  checkKey,
  damaged,
  deriveSegmentKeys,
  type EncryptionOptions,
  HEADER_BYTES,
  PLAIN_SEGMENT_BYTES,
  SEGMENT_BYTES,
  type SegmentKeys,
} from './format.ts';
import { openSegment } from './segment.ts';
import { plainSize } from './sizes.ts';

/** How many segments one read of ciphertext asks for at most: it bounds the memory. */
const SEGMENTS_PER_READ = 8;

export interface RangeDecrypterOptions extends EncryptionOptions {
  /** Of the ciphertext, in bytes. It says which segment is the last. */
  size: number;
  /** Gives just these bytes of the ciphertext; its errors are passed on as they are. */
  read(cipherOffset: number, cipherLength: number, signal: AbortSignal): Promise<Buffer>;
}

/**
 * Reads parts of an encrypted archive. Each segment's tag is checked before any of its plaintext is given, but of
 * segments that no range touches nothing is known, not even that they are there.
 * Errors: BACKUP_CORRUPTED for changed or missing bytes, another key, other associated data, a range that is not
 * inside the plaintext, and a read that gives fewer or more bytes than were asked; the signal's reason.
 */
export interface RangeDecrypter {
  /** Of the whole plaintext, in bytes; as trustworthy as `size` until the last segment was read. */
  readonly plainBytes: number;
  /** One range in one buffer. An empty range reads nothing. */
  read(offset: number, length: number, signal: AbortSignal): Promise<Buffer>;
  /** One range in order, a segment at a time; up to 8 MiB of ciphertext wait in memory. */
  parts(offset: number, length: number, signal: AbortSignal): AsyncGenerator<Buffer, void, undefined>;
}

/** Nothing is read before the first range is asked for. Errors: RangeError for the key, BACKUP_CORRUPTED for the size. */
export function createRangeDecrypter(options: RangeDecrypterOptions): RangeDecrypter {
  checkKey(options.key);
  const { size } = options;
  const plainBytes = plainSize(size);
  const lastNumber = Math.ceil(size / SEGMENT_BYTES) - 1;
  let keys: SegmentKeys | undefined;

  const readExactly = async (from: number, to: number, signal: AbortSignal): Promise<Buffer> => {
    signal.throwIfAborted();
    const bytes = await options.read(from, to - from, signal);
    if (bytes.length !== to - from) {
      throw damaged(`${bytes.length} bytes instead of ${to - from} could be read at ${from}`);
    }
    return bytes;
  };

  async function* segments(first: number, last: number, signal: AbortSignal) {
    // Kept only when it came: ranges that begin side by side may each read it, a failed read spoils no later one.
    keys ??= deriveSegmentKeys(await readExactly(0, HEADER_BYTES, signal), options);
    for (let number = first; number <= last; ) {
      const end = Math.min(number + SEGMENTS_PER_READ, last + 1);
      const from = Math.max(number * SEGMENT_BYTES, HEADER_BYTES);
      const sealed = await readExactly(from, Math.min(end * SEGMENT_BYTES, size), signal);
      for (; number < end; number += 1) {
        const at = Math.max(number * SEGMENT_BYTES, HEADER_BYTES) - from;
        const segment = sealed.subarray(at, (number + 1) * SEGMENT_BYTES - from);
        yield { number, plain: openSegment(keys, segment, number, number === lastNumber) };
      }
    }
  }

  async function* parts(offset: number, length: number, signal: AbortSignal) {
    const end = offset + length;
    if (!isNatural(offset) || !isNatural(length) || end > plainBytes) {
      throw damaged(`it holds ${plainBytes} bytes, but ${length} were looked for at ${offset}`);
    }
    if (length === 0) return;
    for await (const { number, plain } of segments(segmentOf(offset), segmentOf(end - 1), signal)) {
      const begin = plainStart(number);
      yield plain.subarray(Math.max(0, offset - begin), Math.min(plain.length, end - begin));
    }
  }

  return {
    plainBytes,
    parts,
    async read(offset, length, signal) {
      const found: Buffer[] = [];
      for await (const part of parts(offset, length, signal)) found.push(part);
      return found.length === 1 && found[0] ? found[0] : Buffer.concat(found);
    },
  };
}

/** The header takes its room from the first segment's plaintext. */
function segmentOf(plainOffset: number): number {
  return Math.floor((plainOffset + HEADER_BYTES) / PLAIN_SEGMENT_BYTES);
}

function plainStart(number: number): number {
  return number === 0 ? 0 : number * PLAIN_SEGMENT_BYTES - HEADER_BYTES;
}

function isNatural(value: number): boolean {
  return Number.isSafeInteger(value) && value >= 0;
}
