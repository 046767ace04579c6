import { createTarParser } from '@tarfleet/archive';
import { RECORDS_TEXT_MAX } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { fileOf, RECORDS_FOLDER } from './record-files.ts';
import { checkLists, LINE_KINDS, type RecordLists } from './record-lines.ts';

const BLOCK = 512;
/** Headers, padding and the end of an archive of a dozen entries. */
const OVERHEAD_MAX = 1024 * 1024;

/**
 * The project's own records out of an archive's tar stream, each line as it was stored. All of it is in memory, within
 * its bounds. ARCHIVE_MALFORMED for what no backup of records has written.
 */
export async function readRecords(tar: AsyncIterable<Buffer>): Promise<RecordLists> {
  const bytes = await collect(tar);
  const files = new Map<string, string>();
  const found: { path: string; size: number }[] = [];
  const parser = createTarParser({
    onEntry({ path, type, size }) {
      if (type === 'directory') return;
      if (type !== 'file') throw malformed(`${JSON.stringify(path.toString())} is no file`);
      found.push({ path: path.toString(), size });
    },
  });
  for (let at = 0; at < bytes.length; ) {
    // Block by block, so that it is known where a content begins.
    parser.take(bytes.subarray(at, at + BLOCK));
    at += BLOCK;
    const entry = found.pop();
    if (!entry) continue;
    const padded = Math.ceil(entry.size / BLOCK) * BLOCK;
    parser.take(bytes.subarray(at, at + padded));
    files.set(entry.path, bytes.subarray(at, at + entry.size).toString('utf8'));
    at += padded;
  }
  parser.end();
  if (files.size !== LINE_KINDS.length) throw malformed(`it has ${files.size} files`);
  const lists: RecordLists = new Map(LINE_KINDS.map((kind) => [kind, linesOf(files, fileOf(kind))]));
  checkLists(lists, malformed);
  return lists;
}

async function collect(tar: AsyncIterable<Buffer>): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let length = 0;
  for await (const chunk of tar) {
    length += chunk.length;
    if (length > RECORDS_TEXT_MAX + OVERHEAD_MAX) throw malformed('it is too long');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

function linesOf(files: Map<string, string>, name: string): string[] {
  const text = files.get(`${RECORDS_FOLDER}/${name}`);
  if (text === undefined) throw malformed(`${name} is missing`);
  if (text === '') return [];
  if (!text.endsWith('\n')) throw malformed(`${name} is cut off`);
  return text.slice(0, -1).split('\n');
}

function malformed(what: string): AppError {
  return new AppError(
    'ARCHIVE_MALFORMED',
    `The archive of the project's own records is not as it should be: ${what}.`,
  );
}
