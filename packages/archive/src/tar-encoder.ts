/** tar headers for entries that Tarfleet builds itself: ustar, with extended headers (POSIX.1-2001 pax) where needed. */
import { isUtf8 } from 'node:buffer';
import { type ArchiveRoot, encodeRootList } from './root-list.ts';
import { TAR_BLOCK } from './tar-header.ts';
import type { TarEntry } from './types.ts';

export interface NewEntry extends Omit<TarEntry, 'offset' | 'mtime'> {
  /** Seconds since 1970, as decimal text. */
  mtime: string;
  /** Of devices: major and minor number. */
  device?: readonly [number, number];
  /** What no reader of tar heeds. */
  comment?: string;
}

/** What of a name stands in the header itself. */
export const NAME_MAX = 100;
const TYPEFLAGS: Record<Exclude<TarEntry['type'], 'other'>, string> = {
  ...{ file: '0', hardlink: '1', symlink: '2', 'character-device': '3', 'block-device': '4' },
  ...{ directory: '5', fifo: '6' },
};

/** Two zero blocks: the end of a tar stream. */
export const TAR_END = Buffer.alloc(2 * TAR_BLOCK);

/** All that stands before an entry's content. Folders get the slash at their end that tar gives them. */
export function tarHeader(entry: NewEntry & { type: keyof typeof TYPEFLAGS }): Buffer {
  const path = entry.type === 'directory' ? Buffer.concat([entry.path, Buffer.from('/')]) : entry.path;
  const target = entry.linkTarget ?? Buffer.alloc(0);
  const seconds = Math.floor(Number(entry.mtime));
  const records: Buffer[] = [];
  if (entry.comment !== undefined) records.push(paxRecord('comment', entry.comment));
  if (!isText(path) || !isText(target)) records.push(paxRecord('hdrcharset', 'BINARY'));
  if (!fits(path)) records.push(paxRecord('path', path));
  if (!fits(target)) records.push(paxRecord('linkpath', target));
  if (entry.size > 0o77777777777) records.push(paxRecord('size', String(entry.size)));
  if (entry.uid > 0o7777777) records.push(paxRecord('uid', String(entry.uid)));
  if (entry.gid > 0o7777777) records.push(paxRecord('gid', String(entry.gid)));
  const mtime = entry.mtime.replace(/\.?0+$/, (zeros) => (entry.mtime.includes('.') ? '' : zeros));
  if (mtime.includes('.') || seconds < 0 || seconds > 0o77777777777) records.push(paxRecord('mtime', mtime));
  const own = block({
    ...{ path, target, typeflag: TYPEFLAGS[entry.type], mode: entry.mode, seconds: Math.max(0, seconds) },
    ...{ uid: entry.uid, gid: entry.gid, size: entry.size, device: entry.device ?? [0, 0] },
  });
  return records.length === 0 ? own : Buffer.concat([paxHeader('x', 'PaxHeaders/entry', records), own]);
}

/** The header with which every archive begins: which paths it was made from. */
export function tarComment(roots: readonly ArchiveRoot[]): Buffer {
  return paxHeader('g', 'tarfleet/GlobalHead', [paxRecord('comment', encodeRootList(roots))]);
}

/** How many zeros follow a content of this length. */
export function paddingOf(size: number): number {
  return (TAR_BLOCK - (size % TAR_BLOCK)) % TAR_BLOCK;
}

/**
 * Whether a name can be told as UTF-8. What the bytes of others mean is not known (POSIX: `hdrcharset`), and letters
 * in parts libarchive would put together as it extracts.
 */
export function isText(name: Buffer): boolean {
  if (!isUtf8(name)) return false;
  const text = name.toString();
  return text.normalize('NFC') === text;
}

/** Whether a name needs no extended header. */
export function fits(name: Buffer): boolean {
  return name.length <= NAME_MAX && name.every((byte) => byte < 0x80);
}

/** `length key=value\n`, where the length counts itself. */
export function paxRecord(key: string, value: string | Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${key}=`), Buffer.from(value as string), Buffer.from('\n')]);
  let length = rest.length;
  while (String(length).length + rest.length !== length) length = String(length).length + rest.length;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

export function paxHeader(typeflag: 'x' | 'g', name: string, records: readonly Buffer[]): Buffer {
  const body = Buffer.concat(records);
  const head = block({
    ...{ path: Buffer.from(name), target: Buffer.alloc(0), typeflag, mode: 0o644, seconds: 0 },
    ...{ uid: 0, gid: 0, size: body.length, device: [0, 0] },
  });
  return Buffer.concat([head, body, Buffer.alloc(paddingOf(body.length))]);
}

interface Fields {
  path: Buffer;
  target: Buffer;
  typeflag: string;
  mode: number;
  uid: number;
  gid: number;
  size: number;
  seconds: number;
  device: readonly [number, number];
}

/** One header block (POSIX.1-1988, ustar); a number that is too large for its field stands in an extended header. */
function block(fields: Fields): Buffer {
  const bytes = Buffer.alloc(TAR_BLOCK);
  const octal = (value: number, at: number, length: number): void => {
    const digits = value.toString(8);
    bytes.write((digits.length < length ? digits : '0').padStart(length - 1, '0'), at, 'latin1');
  };
  fields.path.copy(bytes, 0, 0, NAME_MAX);
  octal(fields.mode, 100, 8);
  octal(fields.uid, 108, 8);
  octal(fields.gid, 116, 8);
  octal(fields.size, 124, 12);
  octal(fields.seconds, 136, 12);
  bytes.write(fields.typeflag, 156, 'latin1');
  fields.target.copy(bytes, 157, 0, NAME_MAX);
  bytes.write('ustar\x0000', 257, 'latin1');
  octal(fields.device[0], 329, 8);
  octal(fields.device[1], 337, 8);
  writeChecksum(bytes);
  return bytes;
}

export function writeChecksum(block: Buffer): void {
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}
