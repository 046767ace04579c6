/**
 * Counts what a dump of mysqldump or mariadb-dump holds, as it passes: tables, and rows of its INSERT statements,
 * whose values are quoted with `'` and escaped with `\` and hold no newline.
 */
export interface SqlDumpCounter {
  see(chunk: Buffer): void;
  /** `whole`: the dump's last line says that it was completed. */
  counts(): { tables: number; records: number; whole: boolean };
}

const CREATE = Buffer.from('CREATE TABLE ');
const INSERT = Buffer.from('INSERT INTO ');
const END = Buffer.from('-- Dump completed');
/** How much of a line's beginning says what it is. */
const HEAD = Math.max(CREATE.length, INSERT.length, END.length);
const [NEWLINE, QUOTE, BACKSLASH, OPEN, CLOSE, SEMICOLON, TICK, V] = [
  0x0a, 0x27, 0x5c, 0x28, 0x29, 0x3b, 0x60, 0x56,
];

export function createSqlDumpCounter(): SqlDumpCounter {
  const found = { tables: 0, records: 0, whole: false };
  const head = Buffer.alloc(HEAD);
  let headBytes = 0;
  // Of an INSERT, which may be of several lines: what stands around the next byte.
  let inInsert = false;
  let quoted = 0;
  let escaped = false;
  let depth = 0;
  /** Past the word VALUES: before it there may be names of columns. */
  let inValues = false;

  const begins = (what: Buffer): boolean =>
    headBytes >= what.length && head.subarray(0, what.length).equals(what);
  const endLine = (): void => {
    if (!inInsert && begins(CREATE)) found.tables += 1;
    if (begins(END)) found.whole = true;
    headBytes = 0;
  };
  const seeValue = (byte: number): void => {
    if (escaped) escaped = false;
    else if (quoted !== 0) {
      if (byte === BACKSLASH && quoted === QUOTE) escaped = true;
      else if (byte === quoted) quoted = 0;
    } else if (byte === QUOTE || byte === TICK) quoted = byte;
    else if (byte === OPEN) {
      depth += 1;
    } else if (byte === CLOSE) {
      depth -= 1;
      if (depth === 0 && inValues) found.records += 1;
    } else if (byte === V && depth === 0) {
      inValues = true;
    } else if (byte === SEMICOLON && depth === 0) inInsert = false;
  };
  return {
    see(chunk) {
      for (let at = 0; at < chunk.length; at += 1) {
        const byte = chunk[at] ?? 0;
        if (inInsert) {
          if (quoted !== 0 && !escaped && byte !== quoted && byte !== BACKSLASH) continue;
          seeValue(byte);
          if (byte === NEWLINE) headBytes = 0;
          continue;
        }
        if (byte === NEWLINE) {
          endLine();
          continue;
        }
        if (headBytes < HEAD) {
          head[headBytes] = byte;
          headBytes += 1;
          if (headBytes === INSERT.length && begins(INSERT)) {
            inInsert = true;
            inValues = false;
            [quoted, escaped, depth, headBytes] = [0, false, 0, 0];
          }
        } else {
          // The rest of the line says nothing.
          const end = chunk.indexOf(NEWLINE, at);
          at = (end === -1 ? chunk.length : end) - 1;
        }
      }
    },
    counts: () => ({ ...found }),
  };
}
