import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { type Codec, InflateError } from './codec.ts';

const compress = promisify(gzip) as (data: Buffer, options: object) => Promise<Buffer>;
const decompress = promisify(gunzip) as unknown as (
  data: Buffer,
  options: object,
) => Promise<{ buffer: Buffer; engine: { bytesWritten: number } }>;

const CHUNK = 1 << 20;

/** Node's own zlib, on libuv's thread pool. */
export const zlibCodec: Codec = {
  name: 'zlib',
  compress: (block, level) => compress(block, { level, chunkSize: CHUNK }),
  async decompress(member, most) {
    const options = { maxOutputLength: most, chunkSize: Math.min(CHUNK, Math.max(64, most)), info: true };
    const { buffer, engine } = await decompress(member, options).catch((cause: Error) => {
      throw new InflateError(cause.message, { cause });
    });
    // What is no member behind the last one is passed over in silence, but not counted.
    if (engine.bytesWritten !== member.length) throw new InflateError('bytes behind the end');
    return buffer;
  },
};
