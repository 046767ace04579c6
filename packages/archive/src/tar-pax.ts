/** Extended headers of POSIX.1-2001 (pax): records of `length key=value\n`, values are bytes. */
import { malformed } from './tar-header.ts';

export type PaxRecords = Map<string, Buffer>;

/** Keys that one entry alone may have: in a global header they would change what every later entry means. */
const LOCAL_ONLY = /^(path|linkpath|size|GNU\.sparse\..*)$/;

/**
 * Reads the records of one extended header. A later record of the same key wins, as in GNU tar; so repeated
 * ones (the map of a sparse file, version 0.0) are of no use here. Errors: ARCHIVE_MALFORMED.
 */
export function parsePax(body: Buffer, offset: number): PaxRecords {
  const records: PaxRecords = new Map();
  for (const { key, value } of paxLines(body, offset)) records.set(key, Buffer.from(value));
  return records;
}

/** The records of an extended header one by one; `bytes` is all of one. */
export function* paxLines(
  body: Buffer,
  offset: number,
): Generator<{ key: string; value: Buffer; bytes: Buffer }> {
  for (let at = 0; at < body.length; ) {
    const space = body.indexOf(0x20, at);
    const digits = space < 0 || space - at > 10 ? '' : body.toString('latin1', at, space);
    const length = /^[1-9][0-9]*$/.test(digits) ? Number(digits) : 0;
    const end = at + length;
    const equals = body.indexOf(0x3d, space + 1);
    if (length === 0 || end > body.length || body[end - 1] !== 0x0a || equals < 0 || equals >= end) {
      throw malformed('bad extended header', offset);
    }
    // As bytes: names of attributes need not be UTF-8.
    const key = body.toString('latin1', space + 1, equals);
    yield { key, value: body.subarray(equals + 1, end - 1), bytes: body.subarray(at, end) };
    at = end;
  }
}

export function refuseLocalKeys(records: PaxRecords, offset: number): void {
  for (const key of records.keys()) {
    if (LOCAL_ONLY.test(key)) throw malformed(`global extended header sets ${key}`, offset);
  }
}

/** A decimal number of a record, or undefined; `fraction` allows what follows a point, as times have it. */
export function paxNumber(
  records: PaxRecords,
  key: string,
  offset: number,
  fraction = false,
): number | undefined {
  const value = records.get(key)?.toString('latin1');
  if (value === undefined || value === '') return undefined;
  if (!(fraction ? /^-?[0-9]+(\.[0-9]*)?$/ : /^-?[0-9]+$/).test(value)) throw malformed(`bad ${key}`, offset);
  return Number(value);
}
