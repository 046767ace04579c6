/**
 * Postgres' text format of COPY and lines of JSON, each from the other. Numbers of up to 32 bits and truth values are JSON's
 * own, null is null; every other value is a string as Postgres writes it, in which nothing is lost.
 */
import { AppError } from '@tarfleet/kernel';

/** A line that no row is, for a backslash in one is doubled. */
export const MARK = '\\.';

const PLAIN = new Set(['smallint', 'integer']);
const LETTERS: Record<string, string> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' };
const ESCAPES: Record<string, string> = {
  ...{ '\\': '\\\\', '\b': '\\b', '\f': '\\f', '\n': '\\n' },
  ...{ '\r': '\\r', '\t': '\\t', '\v': '\\v' },
};

interface CopiedColumn {
  name: string;
  type: string;
}

/** What makes a line of JSON of a line that COPY gave for these columns. COMMAND_FAILED for any other line. */
export function createRowWriter(columns: readonly CopiedColumn[]): (line: string) => string {
  const names = columns.map(({ name }, at) => `${at === 0 ? '{' : ','}${JSON.stringify(name)}:`);
  return (line) => {
    const fields = columns.length === 0 ? [] : line.split('\t');
    if (fields.length !== columns.length) {
      throw new AppError(
        'COMMAND_FAILED',
        'psql printed a row with more or fewer columns than the table has.',
      );
    }
    let text = '';
    for (let at = 0; at < fields.length; at += 1) {
      text += names[at] + jsonOf(fields[at] ?? '', columns[at]?.type ?? '');
    }
    return `${text || '{'}}`;
  };
}

function jsonOf(field: string, type: string): string {
  if (field === '\\N') return 'null';
  if (PLAIN.has(type)) return field;
  if (type === 'boolean') return field === 't' ? 'true' : 'false';
  return JSON.stringify(field.includes('\\') ? unescaped(field) : field);
}

function unescaped(field: string): string {
  return field.replace(/\\([\s\S])/g, (_all, letter: string) => LETTERS[letter] ?? letter);
}

/** The other way: a line for COPY of a line of JSON, whose row has exactly these columns. ARCHIVE_MALFORMED. */
export function createRowReader(list: string, columns: readonly CopiedColumn[]): (line: string) => string {
  const malformed = (what: string): AppError =>
    new AppError('ARCHIVE_MALFORMED', `A row of ${list} in the archive ${what}.`);
  return (line) => {
    const row = parsed(line);
    if (row === null) throw malformed('is not JSON');
    let text = '';
    let count = 0;
    for (const { name } of columns) {
      const value = Object.hasOwn(row, name) ? row[name] : undefined;
      if (count > 0) text += '\t';
      count += 1;
      if (value === null) text += '\\N';
      else if (typeof value === 'string') text += escaped(value);
      else if (typeof value === 'number') text += String(value);
      else if (typeof value === 'boolean') text += value ? 't' : 'f';
      else throw malformed(`has no column ${name}`);
    }
    if (Object.keys(row).length !== columns.length)
      throw malformed('has more columns than the archive names');
    return text;
  };
}

function parsed(line: string): Record<string, unknown> | null {
  try {
    const row: unknown = JSON.parse(line);
    return typeof row === 'object' && row !== null ? (row as Record<string, unknown>) : null;
  } catch {
    // The caller says so.
    return null;
  }
}

function escaped(value: string): string {
  // A class of its own for \b, which is a boundary elsewhere.
  return /[\\\b\f\n\r\t\v]/.test(value)
    ? value.replace(/[\\\b\f\n\r\t\v]/g, (one) => ESCAPES[one] ?? one)
    : value;
}
