import { AppError } from '@tarfleet/kernel';
import {
  BACKSLASH,
  BYTE_IN_COPY,
  type CopiedColumn,
  ESCAPED_IN_JSON,
  keyOf,
  QUOTE,
  SPACE,
  TAB,
} from './copy-text.ts';
import { NEWLINE } from './lines.ts';

const CHUNK = 256 * 1024;
/** Of an escape in JSON, at most. */
const ESCAPE_BYTES = 6;
/** Around a value, and at a row's end, at most. */
const FRAME_BYTES = 8;
const PLAIN = new Set(['smallint', 'integer']);
const WORDS = { null: Buffer.from('null'), true: Buffer.from('true'), false: Buffer.from('false') };

export interface RowWriter {
  /** How many there were so far. */
  rows: number;
  /** The rows of whole lines of COPY, as lines of JSON. */
  take(lines: Buffer): Buffer[];
}

/** Makes lines of JSON of what COPY gives for these columns. COMMAND_FAILED for anything else. */
export function createRowWriter(columns: readonly CopiedColumn[]): RowWriter {
  const fields = columns.map((column, at) => ({
    key: keyOf(column, at),
    isPlain: PLAIN.has(column.type),
    isTruth: column.type === 'boolean',
  }));
  const last = fields.length - 1;
  const output = createOutput();

  /** One value, with its key before it; gives where its field ends. */
  function field(lines: Buffer, from: number, at: number): number {
    let end = from;
    let special = 0;
    for (;;) {
      const byte = lines[end];
      if (byte === TAB || byte === NEWLINE || byte === undefined) break;
      if (byte < SPACE || byte === QUOTE || byte === BACKSLASH) special += 1;
      end += 1;
    }
    if (lines[end] !== (at === last ? NEWLINE : TAB)) throw otherRow();
    const { key, isPlain, isTruth } = fields[at] as (typeof fields)[number];
    output.reserve(key.length + end - from + special * ESCAPE_BYTES + FRAME_BYTES);
    output.bytes(key, 0, key.length);
    if (end - from === 2 && lines[from] === BACKSLASH && lines[from + 1] === N) output.word(WORDS.null);
    else if (isPlain) output.bytes(lines, from, end);
    else if (isTruth) output.word(lines[from] === T ? WORDS.true : WORDS.false);
    else {
      output.byte(QUOTE);
      if (special === 0) output.bytes(lines, from, end);
      else output.unescaped(lines, from, end);
      output.byte(QUOTE);
    }
    return end;
  }

  const writer: RowWriter = {
    rows: 0,
    take(lines) {
      for (let from = 0; from < lines.length; ) {
        if (last < 0) {
          if (lines[from] !== NEWLINE) throw otherRow();
          output.reserve(FRAME_BYTES);
          output.byte(OPEN);
          from += 1;
        }
        for (let at = 0; at <= last; at += 1) from = field(lines, from, at) + 1;
        output.byte(CLOSE);
        output.byte(NEWLINE);
        writer.rows += 1;
      }
      return output.given();
    },
  };
  return writer;
}

const [N, T, OPEN, CLOSE] = [0x4e, 0x74, 0x7b, 0x7d];

/** Bytes one after the other, in chunks. What is written must have been reserved. */
function createOutput() {
  let chunks: Buffer[] = [];
  let chunk = Buffer.alloc(0);
  let to = 0;
  const bytes = (source: Buffer, from: number, end: number): void => {
    // Of few bytes a call costs more than the bytes.
    if (end - from > 64) to += source.copy(chunk, to, from, end);
    else {
      const target = chunk;
      let at = to;
      for (let next = from; next < end; next += 1, at += 1) target[at] = source[next] as number;
      to = at;
    }
  };
  return {
    bytes,
    word: (word: Buffer): void => bytes(word, 0, word.length),
    byte(byte: number): void {
      chunk[to] = byte;
      to += 1;
    },
    /** A value of COPY, as JSON has it between its quotes. */
    unescaped(source: Buffer, from: number, end: number): void {
      const target = chunk;
      for (let next = from; next < end; next += 1) {
        let byte = source[next] as number;
        if (byte === BACKSLASH && next + 1 < end) {
          next += 1;
          byte = source[next] as number;
          byte = BYTE_IN_COPY[byte] ?? byte;
        }
        const escaped = ESCAPED_IN_JSON[byte];
        if (escaped) bytes(escaped, 0, escaped.length);
        else {
          target[to] = byte;
          to += 1;
        }
      }
    },
    reserve(length: number): void {
      if (to + length <= chunk.length) return;
      if (to > 0) chunks.push(chunk.subarray(0, to));
      chunk = Buffer.allocUnsafe(Math.max(CHUNK, length));
      to = 0;
    },
    /** All that was written since the last call. */
    given(): Buffer[] {
      const given = to > 0 ? [...chunks, chunk.subarray(0, to)] : chunks;
      chunks = [];
      chunk = chunk.subarray(to);
      to = 0;
      return given;
    },
  };
}

function otherRow(): AppError {
  return new AppError('COMMAND_FAILED', 'psql printed a row with more or fewer columns than the table has.');
}
