/**
 * Counts what a custom-format dump of pg_dump holds, as it passes: tables, and rows of their data. Rows are lines of
 * COPY's text format, in which no value holds a newline. The format is that of PostgreSQL's `pg_backup_archiver.c` and
 * `pg_backup_custom.c`, versions 1.12 (PostgreSQL 9) to 1.16 (18), not compressed.
 */
export interface DumpCounter {
  see(chunk: Buffer): void;
  /**
   * Once all of it has passed; null when the format is not one that is known. `whole` is false when it broke off in the
   * middle.
   */
  counts(): { tables: number; records: number; whole: boolean } | null;
}

/** So many bytes next; they are given together, or with `skip` as they come. `last`: here the dump may end. */
interface Wish {
  length: number;
  skip?: (piece: Buffer) => void;
  last?: boolean;
}
type Parser<T> = Generator<Wish, T, Buffer>;

const EMPTY = Buffer.alloc(0);
const NEWLINE = 0x0a;
const VERSIONS = { from: 12, to: 16 };
/** `archCustom`. */
const CUSTOM = 1;
const [DATA, BLOBS] = [1, 3];
/** Of COPY's end: `archprintf(fout, "\\.\n\n\n")`. */
const LINES_OF_END = 3;

export function createDumpCounter(): DumpCounter {
  const found = { tables: 0, records: 0 };
  const parser = parse(found);
  let waiting: Buffer = EMPTY;
  let wish: Wish | null = parser.next(EMPTY).value;
  return {
    see(chunk) {
      if (wish === null) return;
      let bytes = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
      while (wish !== null) {
        const { skip, length }: Wish = wish;
        if (skip) {
          skip(bytes.subarray(0, length));
          wish.length -= Math.min(length, bytes.length);
          bytes = bytes.subarray(length);
          if (wish.length > 0) break;
          wish = parser.next(EMPTY).value;
        } else {
          if (bytes.length < length) break;
          wish = parser.next(bytes.subarray(0, length)).value;
          bytes = bytes.subarray(length);
        }
      }
      waiting = bytes;
    },
    counts: () => wish && { ...found, whole: wish.last === true && waiting.length === 0 },
  };
}

function* parse(found: { tables: number; records: number }): Parser<null> {
  const head = yield { length: 11 };
  const [major, version = 0, , intSize, offsetSize = 0, format] = head.subarray(5);
  if (head.subarray(0, 5).toString('latin1') !== 'PGDMP' || format !== CUSTOM || intSize !== 4) return null;
  if (major !== 1 || version < VERSIONS.from || version > VERSIONS.to) return null;
  const compression = version >= 15 ? (yield { length: 1 })[0] : yield* int();
  if (compression !== 0) return null;
  for (let field = 0; field < 7; field += 1) yield* int();
  for (let field = 0; field < 3; field += 1) yield* text();
  const rows = yield* contents(found, version, offsetSize);
  for (;;) {
    const [kind] = yield { length: 1, last: true };
    const id = yield* int();
    if (kind === DATA) {
      const lines = yield* block();
      if (rows.has(id)) found.records += Math.max(0, lines - LINES_OF_END);
    } else if (kind === BLOBS) {
      while ((yield* int()) !== 0) yield* block();
    } else return null;
  }
}

/** The table of contents; gives the numbers of those blocks that hold rows. */
function* contents(found: { tables: number }, version: number, offsetSize: number): Parser<Set<number>> {
  const rows = new Set<number>();
  const entries = yield* int();
  for (let entry = 0; entry < entries; entry += 1) {
    const id = yield* int();
    yield* int();
    for (let field = 0; field < 3; field += 1) yield* text();
    const kind = yield* text();
    yield* int();
    // Definition, drop and copy statement, namespace, tablespace, and since 1.14 the access method.
    for (let field = version >= 14 ? 6 : 5; field > 0; field -= 1) yield* text();
    if (version >= 16) yield* int();
    // Owner and whether there are oids.
    for (let field = 0; field < 2; field += 1) yield* text();
    while ((yield* text()) !== null);
    yield { length: 1 + offsetSize };
    if (kind === 'TABLE') found.tables += 1;
    if (kind === 'TABLE DATA') rows.add(id);
  }
  return rows;
}

/** The pieces of one content; gives how many lines there are. */
function* block(): Parser<number> {
  let lines = 0;
  const skip = (piece: Buffer): void => {
    for (let at = piece.indexOf(NEWLINE); at !== -1; at = piece.indexOf(NEWLINE, at + 1)) lines += 1;
  };
  for (let length = yield* int(); length > 0; length = yield* int()) yield { length, skip };
  return lines;
}

/** A sign, then four bytes, the lowest first. */
function* int(): Parser<number> {
  const bytes = yield { length: 5 };
  const value = bytes.readUInt32LE(1);
  return bytes[0] ? -value : value;
}

function* text(): Parser<string | null> {
  const length = yield* int();
  if (length < 0) return null;
  return length === 0 ? '' : (yield { length }).toString('latin1');
}
