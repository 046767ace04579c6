import { AppError } from '@tarfleet/kernel';
import {
  BACKSLASH,
  BYTE_IN_JSON,
  type CopiedColumn,
  ESCAPED_IN_COPY,
  keyOf,
  QUOTE,
  SPACE,
  TAB,
} from './copy-text.ts';
import { NEWLINE } from './lines.ts';

/** Words of JSON that are values, and what they are in COPY. */
const WORDS = [
  ['null', '\\N'],
  ['true', 't'],
  ['false', 'f'],
].map(([json = '', copy = '']) => ({ json: Buffer.from(json), copy: Buffer.from(copy) }));
const [MINUS, ZERO, NINE, LETTER_U, CLOSE] = [0x2d, 0x30, 0x39, 0x75, 0x7d];

export interface RowReader {
  /** How many there were so far. */
  rows: number;
  /** The rows of whole lines of JSON, as lines for COPY. */
  take(lines: Buffer): Buffer;
}

/** The other way: each line must be as `createRowWriter` makes it of these columns. ARCHIVE_MALFORMED. */
export function createRowReader(list: string, columns: readonly CopiedColumn[]): RowReader {
  const keys = columns.map(keyOf);
  if (keys.length === 0) keys.push(Buffer.from('{'));
  const reader: RowReader = {
    rows: 0,
    take(lines) {
      // No row is longer in COPY than it is in JSON.
      const cursor: Cursor = { lines, at: 0, target: Buffer.allocUnsafe(lines.length), to: 0 };
      while (cursor.at < lines.length) {
        if (!row(cursor, keys, columns.length)) throw otherRow(list, reader.rows + 1, columns);
        reader.rows += 1;
      }
      return cursor.target.subarray(0, cursor.to);
    },
  };
  return reader;
}

interface Cursor {
  lines: Buffer;
  at: number;
  target: Buffer;
  to: number;
}

function row(cursor: Cursor, keys: readonly Buffer[], columns: number): boolean {
  for (let column = 0; column < keys.length; column += 1) {
    if (!skip(cursor, keys[column] as Buffer)) return false;
    if (column >= columns) continue;
    if (column > 0) put(cursor, TAB);
    if (!value(cursor)) return false;
  }
  if (cursor.lines[cursor.at] !== CLOSE || cursor.lines[cursor.at + 1] !== NEWLINE) return false;
  cursor.at += 2;
  put(cursor, NEWLINE);
  return true;
}

function value(cursor: Cursor): boolean {
  const first = cursor.lines[cursor.at];
  if (first === QUOTE) return text(cursor);
  if (first === MINUS || isDigit(first)) return number(cursor);
  for (const { json, copy } of WORDS) {
    if (first !== json[0]) continue;
    for (const byte of copy) put(cursor, byte);
    return skip(cursor, json);
  }
  return false;
}

function number(cursor: Cursor): boolean {
  const { lines } = cursor;
  const isNegative = lines[cursor.at] === MINUS;
  if (isNegative) put(cursor, MINUS);
  cursor.at += isNegative ? 1 : 0;
  const from = cursor.at;
  while (isDigit(lines[cursor.at])) {
    put(cursor, lines[cursor.at] as number);
    cursor.at += 1;
  }
  return cursor.at > from;
}

function text(cursor: Cursor): boolean {
  const { lines, target } = cursor;
  let at = cursor.at + 1;
  let to = cursor.to;
  for (;;) {
    let byte = lines[at];
    if (byte === undefined || byte < SPACE) return false;
    at += 1;
    if (byte === QUOTE) break;
    if (byte !== BACKSLASH) {
      target[to] = byte;
      to += 1;
      continue;
    }
    if (lines[at] === LETTER_U) {
      byte = controlAt(lines, at + 1);
      at += 5;
    } else {
      byte = BYTE_IN_JSON[lines[at] ?? 0];
      at += 1;
    }
    if (byte === undefined) return false;
    const escaped = ESCAPED_IN_COPY[byte];
    if (escaped) to += escaped.copy(target, to);
    else {
      target[to] = byte;
      to += 1;
    }
  }
  cursor.at = at;
  cursor.to = to;
  return true;
}

/** Of all that can be written by its number, control characters alone are. */
function controlAt(lines: Buffer, at: number): number | undefined {
  const digits = lines.toString('latin1', at, at + 4);
  return /^00[01][0-9a-f]$/.test(digits) ? Number.parseInt(digits, 16) : undefined;
}

function skip(cursor: Cursor, expected: Buffer): boolean {
  const { lines, at } = cursor;
  for (let next = 0; next < expected.length; next += 1) {
    if (lines[at + next] !== expected[next]) return false;
  }
  cursor.at = at + expected.length;
  return true;
}

function put(cursor: Cursor, byte: number): void {
  cursor.target[cursor.to] = byte;
  cursor.to += 1;
}

function isDigit(byte: number | undefined): boolean {
  return byte !== undefined && byte >= ZERO && byte <= NINE;
}

function otherRow(list: string, number: number, columns: readonly CopiedColumn[]): AppError {
  const names = columns.map(({ name }) => name).join(', ');
  return new AppError(
    'ARCHIVE_MALFORMED',
    `Line ${number} of ${list} in the archive is no row with the columns ${names}.`,
  );
}
