/**
 * Postgres' text format of COPY and lines of JSON, each made of the other. Numbers of up to 32 bits and truth values are
 * JSON's own, null is null; every other value is a string as Postgres writes it, in which nothing is lost. Both are read
 * byte by byte, for strings of them would be most of what millions of rows cost.
 */

/** A line that no row is, for a backslash in one is doubled. */
export const MARK = '\\.';

export interface CopiedColumn {
  name: string;
  type: string;
}

export const TAB = 0x09;
export const QUOTE = 0x22;
export const BACKSLASH = 0x5c;
/** Bytes below are control characters. */
export const SPACE = 0x20;

/** What a letter after a backslash stands for, in both formats. */
const LETTERS: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' };
const COPY_LETTERS: Record<string, string> = { ...LETTERS, v: '\v' };

function byByte<T>(entries: readonly (readonly [string, T])[]): (T | undefined)[] {
  const table: (T | undefined)[] = new Array(256).fill(undefined);
  for (const [letter, value] of entries) table[letter.charCodeAt(0)] = value;
  return table;
}

/** By the letter's byte. */
export const BYTE_IN_COPY = byByte(
  Object.entries(COPY_LETTERS).map(([letter, meant]) => [letter, meant.charCodeAt(0)]),
);
export const BYTE_IN_JSON = byByte(
  ['"', '\\', '/']
    .map((one): [string, number] => [one, one.charCodeAt(0)])
    .concat(Object.entries(LETTERS).map(([letter, meant]) => [letter, meant.charCodeAt(0)])),
);

const CONTROLS = Array.from({ length: SPACE }, (_, code) => String.fromCharCode(code));

/** How a byte is written that cannot stand for itself, by that byte. */
export const ESCAPED_IN_JSON = byByte(
  [...CONTROLS, '"', '\\'].map((one) => [one, Buffer.from(JSON.stringify(one).slice(1, -1))]),
);
export const ESCAPED_IN_COPY = byByte(
  [...Object.entries(COPY_LETTERS), ['\\', '\\']].map(([letter, meant]): [string, Buffer] => [
    meant ?? '',
    Buffer.from(`\\${letter}`),
  ]),
);

/** As the first column of a row, or a later one. */
export function keyOf({ name }: CopiedColumn, at: number): Buffer {
  return Buffer.from(`${at === 0 ? '{' : ','}${JSON.stringify(name)}:`);
}
