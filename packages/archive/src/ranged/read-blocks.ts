import { AppError } from '@tarfleet/kernel';
import type { Codec } from '../deflate/codec.ts';
import { zlibCodec } from '../deflate/zlib-codec.ts';

/** An archive that can be read from anywhere: its members, before encryption. */
export interface ArchiveReader {
  /** For messages. */
  name: string;
  /** Where its members begin. */
  members: readonly number[];
  /** How much tar each member but the last holds. */
  blockBytes: number;
  /** Where the last member ends. */
  bytes: number;
  /** Who decompresses; zlib when it is not given. */
  codec?: Codec;
  /** Exactly these bytes; rejects with BACKUP_CORRUPTED when they are not there. */
  read(start: number, length: number, signal: AbortSignal): Promise<Buffer>;
}

/** Members `from` to `to`, both included, by one read; decompressed side by side. */
export async function readBlocks(
  archive: ArchiveReader,
  from: number,
  to: number,
  signal: AbortSignal,
): Promise<Buffer[]> {
  const start = archive.members[from];
  const end = archive.members[to + 1] ?? archive.bytes;
  if (start === undefined || to >= archive.members.length || end <= start) {
    throw damaged(archive, `it has no member ${to}`);
  }
  const bytes = await archive.read(start, end - start, signal);
  if (bytes.length !== end - start) throw damaged(archive, 'it is shorter than its index says');
  const blocks: Promise<Buffer>[] = [];
  for (let member = from; member <= to; member += 1) {
    const first = (archive.members[member] ?? start) - start;
    const last = (archive.members[member + 1] ?? end) - start;
    blocks.push(readBlock(archive, member, bytes.subarray(first, member === to ? end - start : last)));
  }
  return Promise.all(blocks);
}

async function readBlock(archive: ArchiveReader, member: number, bytes: Buffer): Promise<Buffer> {
  let block: Buffer;
  try {
    block = await (archive.codec ?? zlibCodec).decompress(bytes, archive.blockBytes);
  } catch (error) {
    throw damaged(archive, `member ${member}: ${(error as Error).message}`, error);
  }
  const last = member === archive.members.length - 1;
  if (!last && block.length !== archive.blockBytes) throw damaged(archive, `member ${member} is too short`);
  return block;
}

function damaged({ name }: ArchiveReader, what: string, cause?: unknown): AppError {
  return new AppError('BACKUP_CORRUPTED', `The archive ${name} is damaged (${what}). Use another backup.`, {
    cause,
  });
}
