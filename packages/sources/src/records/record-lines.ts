import { promisify } from 'node:util';
import { gunzip } from 'node:zlib';
import {
  createParser,
  type HandedRecord,
  RECORD_KINDS,
  RECORD_MAX,
  RECORD_SCHEMAS,
  RECORDS_TEXT_MAX,
  RecordsMetadata,
} from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';

type Kind = HandedRecord[0];
type Check = (value: unknown) => { ok: true } | { ok: false; faults: string[] };

/** In the order in which they travel. */
export const LINE_KINDS: readonly Kind[] = [...RECORD_KINDS, 'metadata'];
const parseMetadata = createParser(RecordsMetadata);
const checks = Object.fromEntries([
  ...RECORD_KINDS.map((kind) => [kind, createParser(RECORD_SCHEMAS[kind])]),
  ['metadata', parseMetadata],
]) as Record<Kind, Check>;
const unzip = promisify(gunzip);

/** The lines of each kind, each with its newline. */
export type RecordLists = Map<Kind, string[]>;

/** What a plan brings: gzipped lines of kind, tab and JSON. PLAN_INVALID where it is anything else. */
export async function unpackRecords(packed: Buffer): Promise<RecordLists> {
  const refused = (why: string): AppError =>
    new AppError('PLAN_INVALID', `The project's own records in the plan are not as they should be: ${why}.`);
  const bytes = await unzip(packed, { maxOutputLength: RECORDS_TEXT_MAX }).catch(() => {
    throw refused('they cannot be unpacked');
  });
  const text = bytes.toString('utf8');
  if (!text.endsWith('\n')) throw refused('the last line is cut off');
  const lists: RecordLists = new Map(LINE_KINDS.map((kind) => [kind, []]));
  let last = 0;
  for (let from = 0; from < text.length; ) {
    const end = text.indexOf('\n', from);
    const tab = text.indexOf('\t', from);
    const name = text.slice(from, tab === -1 ? end : Math.min(tab, end));
    const at = LINE_KINDS.findIndex((kind) => kind === name);
    if (at < last) throw refused(`a line of the kind ${JSON.stringify(name)} comes where none may be`);
    last = at;
    lists.get(name as Kind)?.push(text.slice(tab + 1, end));
    from = end + 1;
  }
  checkLists(lists, refused);
  return lists;
}

/** Every line is of its kind, and there are as many of each as the metadata says. */
export function checkLists(lists: RecordLists, refused: (why: string) => AppError): void {
  for (const [kind, lines] of lists) {
    for (const [at, line] of lines.entries()) {
      const fault = faultOf(kind, line);
      if (fault !== null) throw refused(`line ${at + 1} of ${kind} ${fault}`);
    }
  }
  const [metadata, ...more] = lists.get('metadata') ?? [];
  if (metadata === undefined || more.length > 0) throw refused('there must be one record of metadata');
  const { counts } = JSON.parse(metadata) as RecordsMetadata;
  for (const kind of RECORD_KINDS) {
    const found = lists.get(kind)?.length ?? 0;
    if (found !== counts[kind])
      throw refused(`there are ${found} ${kind}, and there should be ${counts[kind]}`);
  }
}

function faultOf(kind: Kind, line: string): string | null {
  if (line.length > RECORD_MAX) return 'is too long';
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    return 'is not JSON';
  }
  const checked = checks[kind](value);
  return checked.ok ? null : `does not fit: ${checked.faults.join('; ')}`;
}
