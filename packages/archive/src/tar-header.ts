/** One 512-byte header block: POSIX.1-1988 (ustar), GNU tar's own, and the old one without a magic. */
import { AppError } from '@tarfleet/kernel';

export const TAR_BLOCK = 512;

/** What a header block says by itself, before extended headers change it. */
export interface RawHeader {
  typeflag: string;
  path: Buffer;
  linkTarget: Buffer;
  mode: number;
  uid: number;
  gid: number;
  /** What follows in the stream, in bytes, without padding. */
  size: number;
  mtime: number;
  /** Old GNU sparse files: the file's full length, and whether further blocks of its map follow. */
  realSize: number;
  sparseContinues: boolean;
}

export function malformed(message: string, offset: number): AppError {
  return new AppError('ARCHIVE_MALFORMED', `The tar stream is malformed at byte ${offset}: ${message}.`);
}

/** Reads a header block; `offset` is for messages. A wrong checksum or number is ARCHIVE_MALFORMED. */
export function parseHeader(block: Buffer, offset: number): RawHeader {
  verifyChecksum(block, offset);
  const typeflag = String.fromCharCode(block[156] ?? 0);
  const magic = block.toString('latin1', 257, 265);
  const gnu = magic === 'ustar  \0';
  const ustar = magic === 'ustar\x0000';
  if (!gnu && !ustar && magic !== '\0\0\0\0\0\0\0\0') throw malformed('unknown header magic', offset);
  const number = (from: number, length: number, what: string): number =>
    parseNumber(block.subarray(from, from + length), what, offset);
  const sparse = gnu && typeflag === 'S';
  return {
    typeflag,
    path: joinPrefix(ustar ? text(block, 345, 155) : Buffer.alloc(0), text(block, 0, 100)),
    linkTarget: text(block, 157, 100),
    mode: number(100, 8, 'mode') & 0o7777,
    uid: number(108, 8, 'uid'),
    gid: number(116, 8, 'gid'),
    size: natural(number(124, 12, 'size'), 'size', offset),
    mtime: number(136, 12, 'mtime'),
    realSize: sparse ? natural(number(483, 12, 'real size'), 'real size', offset) : 0,
    sparseContinues: sparse && block[482] !== 0,
  };
}

/** A size that arithmetic can trust. */
export function natural(value: number, what: string, offset: number): number {
  if (Number.isSafeInteger(value) && value >= 0) return value;
  throw malformed(`bad ${what}`, offset);
}

/** Octal text, or base 256 where the first bit is set (GNU). All blank is 0. */
function parseNumber(field: Buffer, what: string, offset: number): number {
  const first = field[0] ?? 0;
  if (first & 0x80) return parseBase256(field, what, offset);
  const octal = /^ *([0-7]*)[ \0]*$/.exec(field.toString('latin1'));
  if (!octal) throw malformed(`bad ${what}`, offset);
  return octal[1] ? Number.parseInt(octal[1], 8) : 0;
}

/** Two's complement over the field's bits without the marker bit; negative values are for old times. */
function parseBase256(field: Buffer, what: string, offset: number): number {
  const bits = BigInt(field.length * 8 - 1);
  const value = BigInt.asIntN(Number(bits), BigInt(`0x${field.toString('hex')}`));
  if (value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
    throw malformed(`bad ${what}`, offset);
  }
  return Number(value);
}

/** The sum of all bytes, its own field as blanks; some old writers took the bytes as signed. */
function verifyChecksum(block: Buffer, offset: number): void {
  let unsigned = 0;
  let signed = 0;
  for (let index = 0; index < TAR_BLOCK; index += 1) {
    const byte = index >= 148 && index < 156 ? 0x20 : (block[index] ?? 0);
    unsigned += byte;
    signed += byte < 128 ? byte : byte - 256;
  }
  const stated = parseNumber(block.subarray(148, 156), 'checksum', offset);
  if (stated !== unsigned && stated !== signed) throw malformed('wrong header checksum', offset);
}

function text(block: Buffer, from: number, length: number): Buffer {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return Buffer.from(end < 0 ? field : field.subarray(0, end));
}

function joinPrefix(prefix: Buffer, name: Buffer): Buffer {
  return prefix.length === 0 ? name : Buffer.concat([prefix, Buffer.from('/'), name]);
}
