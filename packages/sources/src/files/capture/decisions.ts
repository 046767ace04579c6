/** What is noted of a path between the scan and the index; see `Spill`, whose records hold no NUL. */
import { type EncodedRun, encodeRun, type IndexedEntry } from '@tarfleet/archive';
import { type Facts, parseFacts } from './facts.ts';

/** A path of the scan is read (its facts follow). */
const READ = 'r';
/** Paths are kept as the earlier backup has them: some that follow each other in the scan, under the first's name. */
const KEPT = 'k';
/** Not to be read, for another one has the same content (its facts follow). */
const COPY = 'c';
/** As kept, but one of several names of a content: inode and facts come before the entry. */
const LINKED = 'l';

/** So much text of kept entries stands in one note, in characters. */
const RUN_CHARS = 32 * 1024;

export function readNote(facts: string): Buffer {
  return Buffer.from(READ + facts, 'latin1');
}

export function copyNote(facts: string): Buffer {
  return Buffer.from(COPY + facts, 'latin1');
}

export function keptNote(items: readonly IndexedEntry[]): Buffer {
  const { last, text, entries, files, contentBytes, archives } = encodeRun(items);
  const head = `${KEPT}${entries} ${files} ${contentBytes} ${archives.join()} ${last.length}\n`;
  return Buffer.concat([Buffer.from(head), last, text]);
}

export function linkedNote(inode: string, facts: string, item: IndexedEntry): Buffer {
  return Buffer.concat([Buffer.from(`${LINKED}${inode}\n${facts}\n`, 'latin1'), keptNote([item])]);
}

/** Gathers entries that are kept, as few notes as the others between them allow. */
export function createKeptNotes() {
  let items: IndexedEntry[] = [];
  let chars = 0;
  /** What is gathered, as a path and its note; nothing when nothing is. */
  const take = (): Buffer[] => {
    const [first] = items;
    if (first === undefined) return [];
    const record = [first.entry.path, keptNote(items)];
    items = [];
    chars = 0;
    return record;
  };
  return {
    take,
    /** As `take`, when it was enough for one note. */
    add(item: IndexedEntry): Buffer[] {
      items.push(item);
      chars += item.line.length;
      return chars < RUN_CHARS ? [] : take();
    },
  };
}

/** What the first look says of a path. */
export type Draft =
  | { kind: 'kept' }
  | { kind: 'read'; facts: string }
  /** `kept` is the note for the case that none of the content's names changed. */
  | { kind: 'linked'; facts: string; inode: string; kept: Buffer };

export function readDraft(note: Buffer): Draft {
  const kind = kindOf(note);
  if (kind === KEPT) return { kind: 'kept' };
  if (kind !== LINKED) return { kind: 'read', facts: note.toString('latin1', 1) };
  const first = note.indexOf(0x0a);
  const second = note.indexOf(0x0a, first + 1);
  return {
    kind: 'linked',
    inode: note.toString('latin1', 1, first),
    facts: note.toString('latin1', first + 1, second),
    kept: note.subarray(second + 1),
  };
}

/** What one decided record says; what is not read and not kept is a copy. */
export function readDecision(
  path: Buffer,
  note: Buffer,
): { facts: Facts; isRead: boolean } | { kept: EncodedRun } {
  const kind = kindOf(note);
  if (kind !== KEPT) return { facts: parseFacts(note.toString('latin1', 1)), isRead: kind === READ };
  const behind = note.indexOf(0x0a) + 1;
  const words = note.toString('latin1', 1, behind - 1).split(' ');
  const [entries = 0, files = 0, contentBytes = 0, , lastLength = 0] = words.map(Number);
  const archives = (words[3] ?? '').split(',').map(Number);
  const last = note.subarray(behind, behind + lastLength);
  const text = note.subarray(behind + lastLength);
  return { kept: { first: path, last, text, entries, files, contentBytes, archives } };
}

function kindOf(note: Buffer): string {
  return String.fromCharCode(note[0] ?? 0);
}
