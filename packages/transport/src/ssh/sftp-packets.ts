/** Packets of SFTP version 3 (draft-ietf-secsh-filexfer-02), as far as reading needs them. Names are bytes. */
import { AppError } from '@tarfleet/kernel';
import type { RemoteFacts } from '../types.ts';

/** A server sends at most some 256 KiB at once; what claims more does not speak SFTP. */
const PACKET_MAX = 1024 * 1024;
export const TYPES = { version: 2, status: 101, handle: 102, data: 103, name: 104, attrs: 105 } as const;
export const INIT = Buffer.from([0, 0, 0, 5, 1, 0, 0, 0, 3]);

export interface Packet {
  type: number;
  id: number;
  body: Reader;
}

/** A request: its number is what the answer will carry. */
export function request(type: number, id: number, parts: readonly (Buffer | number | bigint)[]): Buffer {
  const bodies = parts.map((part) => (Buffer.isBuffer(part) ? lengthed(part) : numbered(part)));
  const length = bodies.reduce((sum, body) => sum + body.length, 5);
  const head = Buffer.alloc(9);
  head.writeUInt32BE(length, 0);
  head[4] = type;
  head.writeUInt32BE(id, 5);
  return Buffer.concat([head, ...bodies]);
}

function lengthed(bytes: Buffer): Buffer {
  return Buffer.concat([numbered(bytes.length), bytes]);
}

function numbered(value: number | bigint): Buffer {
  const bytes = Buffer.alloc(typeof value === 'bigint' ? 8 : 4);
  if (typeof value === 'bigint') bytes.writeBigUInt64BE(value);
  else bytes.writeUInt32BE(value);
  return bytes;
}

/** Cuts what arrives into packets. `take` throws COMMAND_FAILED for what is no SFTP. */
export function createPacketParser(onPacket: (packet: Packet) => void): { take(chunk: Buffer): void } {
  let waiting: Buffer[] = [];
  let held = 0;
  let needed = 4;
  return {
    take(chunk) {
      waiting.push(chunk);
      held += chunk.length;
      if (held < needed) return;
      let bytes = waiting.length === 1 ? chunk : Buffer.concat(waiting);
      for (;;) {
        needed = 4;
        if (bytes.length < 4) break;
        const length = bytes.readUInt32BE(0);
        if (length < 5 || length > PACKET_MAX) throw notSftp();
        needed = 4 + length;
        if (bytes.length < needed) break;
        const body = createReader(bytes.subarray(9, needed));
        onPacket({ type: bytes[4] ?? 0, id: bytes.readUInt32BE(5), body });
        bytes = bytes.subarray(needed);
      }
      waiting = bytes.length > 0 ? [bytes] : [];
      held = bytes.length;
    },
  };
}

export interface Reader {
  number(): number;
  bytes(): Buffer;
  /** Null where the server does not tell all of it. */
  attributes(): RemoteFacts | null;
}

const ALL_FLAGS = 0xf;

function createReader(body: Buffer): Reader {
  let at = 0;
  const part = (length: number): Buffer => {
    if (at + length > body.length) throw notSftp();
    at += length;
    return body.subarray(at - length, at);
  };
  const number = (): number => part(4).readUInt32BE(0);
  const bytes = (): Buffer => part(number());
  return {
    number,
    bytes,
    attributes() {
      const flags = number();
      const size = flags & 1 ? Number(part(8).readBigUInt64BE(0)) : 0;
      const [uid, gid] = flags & 2 ? [number(), number()] : [0, 0];
      const mode = flags & 4 ? number() : 0;
      const [, mtime] = flags & 8 ? [number(), number()] : [0, 0];
      // Bit 31: pairs of a name and a value.
      for (let more = flags & 0x80000000 ? number() : 0; more > 0; more -= 1) {
        bytes();
        bytes();
      }
      if ((flags & ALL_FLAGS) !== ALL_FLAGS) return null;
      return { type: letterOf(mode), size, mode: mode & 0o7777, uid, gid, mtime };
    },
  };
}

/** By the file type in stat's mode: its upper four bits. */
const LETTERS: Record<number, string> = {
  ...{ 8: 'f', 4: 'd', 10: 'l', 1: 'p', 2: 'c', 6: 'b', 12: 's' },
};

function letterOf(mode: number): string {
  return LETTERS[(mode >> 12) & 0o17] ?? '?';
}

export function notSftp(): AppError {
  return new AppError('COMMAND_FAILED', 'What answers as SFTP on the server does not speak it.');
}
