/** One gzip member (RFC 1952) at a time, always the same bytes for the same content, level and codec. */
import { crc32 } from 'node:zlib';
import type { Codec } from './codec.ts';

/** ID, deflate, no flags, no time, no extra flags, "unknown" system: nothing that differs between machines. */
const HEADER = Buffer.from([0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff]);
/** The longest stored block that deflate has (RFC 1951, 3.2.4). */
const STORED_MAX = 0xffff;
/** Pieces of a block by which it is judged before it is compressed. */
const PROBES = 16;
const PROBE_BYTES = 4096;
/** What stays longer than this part of itself is not worth the time. */
const HOPELESS = 0.99;

/** What does not shrink is stored. The block must not change before it resolves. */
export async function compressMember(codec: Codec, block: Buffer, level: number): Promise<Buffer> {
  if (block.length === 0 || (await isHopeless(codec, block))) return storeMember(block);
  const member = await codec.compress(block, level);
  if (member.length >= storedLength(block.length)) return storeMember(block);
  HEADER.copy(member);
  return member;
}

/** Whether pieces from all over the block do not shrink at the fastest level: pictures, videos, archives. */
async function isHopeless(codec: Codec, block: Buffer): Promise<boolean> {
  if (block.length < 4 * PROBES * PROBE_BYTES) return false;
  const step = Math.floor((block.length - PROBE_BYTES) / (PROBES - 1));
  const pieces = Array.from({ length: PROBES }, (_, n) => block.subarray(n * step, n * step + PROBE_BYTES));
  const probe = Buffer.concat(pieces);
  return (await codec.compress(probe, 1)).length > HOPELESS * probe.length;
}

/** The block as stored deflate blocks: five bytes more for every 64 KiB, and no compression at all. */
export function storeMember(block: Buffer): Buffer {
  const member = Buffer.allocUnsafe(storedLength(block.length));
  let at = HEADER.copy(member);
  let from = 0;
  do {
    const length = Math.min(STORED_MAX, block.length - from);
    member[at] = from + length === block.length ? 1 : 0;
    member.writeUInt16LE(length, at + 1);
    member.writeUInt16LE(length ^ 0xffff, at + 3);
    block.copy(member, at + 5, from, from + length);
    at += 5 + length;
    from += length;
  } while (from < block.length);
  member.writeUInt32LE(crc32(block), at);
  member.writeUInt32LE(block.length, at + 4);
  return member;
}

function storedLength(length: number): number {
  return HEADER.length + 5 * Math.max(1, Math.ceil(length / STORED_MAX)) + length + 8;
}
