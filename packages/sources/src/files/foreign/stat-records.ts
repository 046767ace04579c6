import { randomBytes } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { Facts } from '../capture/facts.ts';

/** What `stat -c` of busybox said of one path. */
export interface StatRecord {
  path: Buffer;
  facts: Facts;
  /** Of devices: major and minor number. */
  device: [number, number];
}

const WORDS =
  /^([0-9a-f]+) (\d+) (\d+) (\d+) (\d+) (\d+) (\d+) (-?\d+)\|([^|]*)\|(-?\d+)\|([^|]*)\|([0-9a-f]+) ([0-9a-f]+)\|/;
const LETTERS: Record<string, string> = { 8: 'f', 4: 'd', 10: 'l', 1: 'p', 2: 'c', 6: 'b', 12: 's' };

/** Before each record of one command: no name that was there before it was drawn can hold it. */
export function newMark(): string {
  return `tf${randomBytes(16).toString('hex')}`;
}

/** For `stat -c`, which puts a newline after each name: the mark says where the next record begins. */
export function statFormat(mark: string): string {
  return `${mark}%f %h %d %i %s %u %g %Y|%y|%Z|%z|%t %T|%n`;
}

/** Cuts what stat prints into records; what follows the last mark is given at the end. */
export function createStatParser(mark: string) {
  const bytes = Buffer.from(mark);
  let rest: Buffer = Buffer.alloc(0);
  return {
    take(chunk: Buffer): StatRecord[] {
      rest = rest.length > 0 ? Buffer.concat([rest, chunk]) : chunk;
      const found: StatRecord[] = [];
      for (let next = rest.indexOf(bytes, 1); next >= 0; next = rest.indexOf(bytes, 1)) {
        found.push(readRecord(rest.subarray(0, next), bytes.length, mark));
        rest = rest.subarray(next);
      }
      return found;
    },
    end: (): StatRecord[] => (rest.length > 0 ? [readRecord(rest, bytes.length, mark)] : []),
  };
}

function readRecord(record: Buffer, start: number, mark: string): StatRecord {
  const text = record.toString('latin1', start);
  const found = WORDS.exec(text);
  if (!found || !text.endsWith('\n') || record.toString('latin1', 0, start) !== mark) {
    throw new AppError('COMMAND_FAILED', 'stat on the server printed something else than was asked for.');
  }
  const [
    whole,
    raw = '',
    links,
    device = '',
    inode = '',
    size,
    uid,
    gid,
    mtime,
    mtimeText,
    ctime,
    ctimeText,
  ] = found;
  const mode = Number.parseInt(raw, 16);
  return {
    path: Buffer.from(record.subarray(start + whole.length, -1)),
    device: [Number.parseInt(found[12] ?? '', 16), Number.parseInt(found[13] ?? '', 16)],
    facts: {
      ...{ type: LETTERS[String(mode >> 12)] ?? '?', links: Number(links), device, inode },
      ...{ size: Number(size), mode: mode & 0o7777, uid: Number(uid), gid: Number(gid) },
      mtime: exact(mtime, mtimeText),
      ctime: exact(ctime, ctimeText),
    },
  };
}

/** Ten decimals, as GNU find has them; the fraction stands in the long form of the time alone. */
function exact(seconds = '', long = ''): string {
  const fraction = (/:\d\d\.(\d{1,9})/.exec(long)?.[1] ?? '').padEnd(9, '0');
  if (!seconds.startsWith('-') || /^0*$/.test(fraction)) return `${seconds}.${fraction}0`;
  const nanos = BigInt(seconds) * 1_000_000_000n + BigInt(fraction);
  const digits = String(-nanos).padStart(10, '0');
  return `-${digits.slice(0, -9)}.${digits.slice(-9)}0`;
}
