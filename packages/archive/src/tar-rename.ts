/** An entry of a tar stream under another name: its headers, as a walker has accepted them, written anew. */
import { fits, isText, NAME_MAX, paddingOf, paxHeader, paxRecord, writeChecksum } from './tar-encoder.ts';
import { malformed, parseHeader, TAR_BLOCK } from './tar-header.ts';
import { paxLines } from './tar-pax.ts';

const PREFIX_AT = 345;
const PREFIX_END = 500;
const TYPEFLAG_AT = 156;
const OLD_SPARSE = 0x53;

/** How many of these bytes are an entry's headers; null when more of them are to come. */
export function headerLength(bytes: Buffer): number | null {
  let at = 0;
  while (at + TAR_BLOCK <= bytes.length) {
    const { typeflag, size } = parseHeader(bytes.subarray(at, at + TAR_BLOCK), at);
    at += TAR_BLOCK;
    if (!'xgLK'.includes(typeflag)) return at;
    at += size + paddingOf(size);
  }
  return null;
}

/** Exactly a file's headers, for this name; attributes, times and owners stay. ARCHIVE_MALFORMED for a sparse file. */
export function renamedHeader(headers: Buffer, path: Buffer): Buffer {
  const own = Buffer.from(headers.subarray(-TAR_BLOCK));
  const records = [...keptRecords(headers)];
  if (own[TYPEFLAG_AT] === OLD_SPARSE) throw malformed('a sparse file under another name', 0);
  own.fill(0, 0, NAME_MAX).fill(0, PREFIX_AT, PREFIX_END);
  path.copy(own, 0, 0, NAME_MAX);
  writeChecksum(own);
  if (!fits(path)) records.unshift(paxRecord('path', path));
  if (!isText(path)) records.unshift(paxRecord('hdrcharset', 'BINARY'));
  return records.length === 0 ? own : Buffer.concat([paxHeader('x', 'PaxHeaders/entry', records), own]);
}

function* keptRecords(headers: Buffer): Generator<Buffer> {
  for (let at = 0; at + TAR_BLOCK < headers.length; ) {
    const { typeflag, size } = parseHeader(headers.subarray(at, at + TAR_BLOCK), at);
    const body = headers.subarray(at + TAR_BLOCK, at + TAR_BLOCK + size);
    at += TAR_BLOCK + size + paddingOf(size);
    if (typeflag !== 'x') continue;
    for (const { key, bytes } of paxLines(body, at)) {
      if (key.startsWith('GNU.sparse.')) throw malformed('a sparse file under another name', at);
      if (key !== 'path' && key !== 'hdrcharset') yield bytes;
    }
  }
}
