import { promisify } from 'node:util';
import { type Codec, InflateError } from './codec.ts';

/** As the loader finds it on Linux (its only ABI so far, since 1.0), and on macOS. */
const LIBRARIES = ['libdeflate.so.0', 'libdeflate.0.dylib', '/opt/homebrew/lib/libdeflate.0.dylib'];
/** What is kept of memory for results between two blocks, so that not each costs fresh pages. */
const SPARE_MAX = 16;

/**
 * The machine's libdeflate, called on libuv's thread pool: nearly twice zlib's speed, and a little smaller. Null
 * where there is none, or no binding to native code for this machine. API: libdeflate.h, 1.0 and later.
 */
export async function openLibdeflate(): Promise<Codec | null> {
  // A machine for which the binding has no build can still use zlib.
  const koffi = await import('koffi').then(
    (module) => module.default,
    () => null,
  );
  if (koffi === null) return null;
  for (const name of LIBRARIES) {
    let library: ReturnType<typeof koffi.load>;
    try {
      library = koffi.load(name);
    } catch {
      // Not under this name.
      continue;
    }
    return createCodec(bind(library));
  }
  return null;
}

type Pointer = object;

interface Calls {
  newCompressor(level: number): Pointer | null;
  freeCompressor(compressor: Pointer): void;
  compressBound(compressor: Pointer, bytes: number): number | bigint;
  compress(
    ...call: [compressor: Pointer, from: Buffer, bytes: number, to: Buffer, room: number]
  ): Promise<number | bigint>;
  newDecompressor(): Pointer | null;
  freeDecompressor(decompressor: Pointer): void;
  /** Nothing but 0 is good. The last two get how many bytes were read and written. */
  decompress(
    ...call: [
      Pointer,
      from: Buffer,
      bytes: number,
      to: Buffer,
      room: number,
      read: number[],
      written: number[],
    ]
  ): Promise<number>;
}

function bind(library: { func(prototype: string): unknown }): Calls {
  type Plain = (...args: never[]) => unknown;
  const call = (prototype: string): Plain => library.func(prototype) as Plain;
  const later = (prototype: string): Plain =>
    promisify((library.func(prototype) as { async: Parameters<typeof promisify>[0] }).async) as Plain;
  return {
    newCompressor: call('void *libdeflate_alloc_compressor(int level)'),
    freeCompressor: call('void libdeflate_free_compressor(void *compressor)'),
    compressBound: call('size_t libdeflate_gzip_compress_bound(void *compressor, size_t bytes)'),
    compress: later(
      'size_t libdeflate_gzip_compress(void *compressor, const uint8_t *from, size_t bytes, _Out_ uint8_t *to, size_t room)',
    ),
    newDecompressor: call('void *libdeflate_alloc_decompressor()'),
    freeDecompressor: call('void libdeflate_free_decompressor(void *decompressor)'),
    decompress: later(
      'int libdeflate_gzip_decompress_ex(void *decompressor, const uint8_t *from, size_t bytes, _Out_ uint8_t *to, size_t room, _Out_ size_t *read, _Out_ size_t *written)',
    ),
  } as Calls;
}

function createCodec(calls: Calls): Codec {
  const spare: Buffer[] = [];
  // The binding passes bare addresses on: what they point to is kept from the garbage collector meanwhile.
  const busy = new Set<readonly Buffer[]>();
  const during = async <T>(buffers: readonly Buffer[], call: Promise<T>): Promise<T> => {
    busy.add(buffers);
    try {
      return await call;
    } finally {
      busy.delete(buffers);
    }
  };
  return {
    name: 'libdeflate',
    async compress(block, level) {
      const compressor = calls.newCompressor(level);
      if (compressor === null) throw new Error('libdeflate has no memory for a compressor.');
      try {
        const bound = Number(calls.compressBound(compressor, block.length));
        const room = takeSpare(spare, bound);
        const written = Number(
          await during([block, room], calls.compress(compressor, block, block.length, room, room.length)),
        );
        // It cannot happen with that much room.
        if (written === 0 || written > room.length) throw new Error('libdeflate could not compress a block.');
        const member = Buffer.from(room.subarray(0, written));
        if (spare.length < SPARE_MAX) spare.push(room);
        return member;
      } finally {
        calls.freeCompressor(compressor);
      }
    },
    async decompress(member, most) {
      const decompressor = calls.newDecompressor();
      if (decompressor === null) throw new Error('libdeflate has no memory for a decompressor.');
      const content = Buffer.allocUnsafeSlow(most);
      let filled = 0;
      try {
        for (let from = 0; from === 0 || from < member.length; ) {
          const [read, written] = [[0], [0]];
          const rest = member.subarray(from);
          const room = content.subarray(filled);
          const fault = await during(
            [rest, room],
            calls.decompress(decompressor, rest, rest.length, room, room.length, read, written),
          );
          if (fault !== 0) throw new InflateError(FAULTS[fault] ?? `libdeflate's fault ${fault}`);
          from += Number(read[0]);
          filled += Number(written[0]);
        }
      } finally {
        calls.freeDecompressor(decompressor);
      }
      return content.subarray(0, filled);
    },
  };
}

/** `enum libdeflate_result`. */
const FAULTS: Record<number, string> = { 1: 'not valid gzip', 3: 'more than it may hold' };

/** The memory of an earlier block, when it is large enough. */
function takeSpare(spare: Buffer[], bytes: number): Buffer {
  const one = spare.pop();
  return one && one.length >= bytes ? one : Buffer.allocUnsafeSlow(bytes);
}
