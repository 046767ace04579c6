import { Transform, type TransformCallback } from 'node:stream';
import { destroyOnAbort } from './abort.ts';
import { compressMember, storeMember } from './deflate/gzip-member.ts';
import { zlibCodec } from './deflate/zlib-codec.ts';
import type { MemberOptions } from './types.ts';

/** How much tar one member holds, in bytes; the last one may hold less. Part of the format. */
export const BLOCK_BYTES = 4 * 1024 * 1024;

/**
 * Tar bytes in, gzip members out, in order. Up to `parallel` blocks are compressed at once on the thread pool;
 * no more than that wait in memory. An empty input gives one empty member, which is valid gzip.
 * The caller pipes and owns it; an abort destroys it with the signal's reason.
 */
export function createMemberStream(options: MemberOptions, signal: AbortSignal): Transform {
  const parallel = Math.max(1, options.parallel);
  const pending: Promise<Buffer>[] = [];
  const spare: Buffer[] = [];
  let block: Buffer | undefined;
  let filled = 0;
  let begun = false;
  let stored = 0;

  const give = (stream: Transform, member: Buffer): void => {
    options.onMember?.(stored);
    stored += member.length;
    stream.push(member);
  };

  const encode = async (memory: Buffer, length: number): Promise<Buffer> => {
    const content = memory.subarray(0, length);
    const member = options.enabled
      ? await compressMember(options.codec ?? zlibCodec, content, options.level)
      : storeMember(content);
    spare.push(memory);
    return member;
  };

  const closeBlock = (): void => {
    const member = encode(block ?? Buffer.alloc(0), filled);
    // It is awaited in its turn; a rejection before that must not count as unhandled.
    member.catch(() => undefined);
    pending.push(member);
    block = undefined;
    filled = 0;
    begun = true;
  };

  const take = async (stream: Transform, chunk: Buffer): Promise<void> => {
    for (let from = 0; from < chunk.length; ) {
      block ??= spare.pop() ?? Buffer.allocUnsafeSlow(BLOCK_BYTES);
      const copied = chunk.copy(block, filled, from);
      filled += copied;
      from += copied;
      if (filled < BLOCK_BYTES) continue;
      closeBlock();
      const first = pending.length >= parallel ? pending.shift() : undefined;
      if (first) give(stream, await first);
    }
  };

  const finish = async (stream: Transform): Promise<void> => {
    if (filled > 0 || !begun) closeBlock();
    for (const member of pending) give(stream, await member);
  };

  const stream = new Transform({
    transform(chunk: Buffer, _encoding, callback: TransformCallback) {
      take(this, chunk).then(() => callback(), callback);
    },
    flush(callback: TransformCallback) {
      finish(this).then(() => callback(), callback);
    },
  });
  destroyOnAbort(stream, signal);
  return stream;
}
