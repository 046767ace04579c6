import { type EncodedEntry, encodeEntry, type IndexEntry, mergeJoin } from '@tarfleet/archive';
import type { CopyPlan } from '../copies/copy-plan.ts';
import type { GoneFiles } from '../copies/gone-files.ts';
import type { LargeFiles } from '../copies/large-files.ts';
import { memberName } from '../paths.ts';
import { type Facts, isUnchanged, parseFacts } from './facts.ts';
import type { PathRecord } from './merge-runs.ts';
import type { Spill } from './spill.ts';

/** More contents than this whose names changed in part are not told apart: then all that have several are read. */
const DIRTY_MAX = 500_000;

/** A path of the scan is read (its facts follow), or is kept as the earlier backup has it (its entry follows). */
const READ = 'r';
const KEPT = 'k';
/** Not to be read, for another one has the same content (its facts follow). */
const COPY = 'c';
/** As kept, but one of several names of a content: inode and facts come before the entry. */
const LINKED = 'l';

/**
 * The first look, in constant memory: `draft` gets every path of the scan, to be read or kept. `gone` gets the files
 * that are no longer where they were, `onNew` what is to be read. Gives the contents of which some name is new,
 * changed or gone.
 */
export async function compare(
  scanned: AsyncIterable<PathRecord>,
  parent: AsyncGenerator<IndexEntry>,
  { draft, gone, onNew }: { draft: Spill; gone: GoneFiles; onNew: (path: Buffer, facts: Facts) => void },
): Promise<DirtySet> {
  const dirty = createDirtySet();
  const both = mergeJoin(scanned, parent, { left: ({ path }) => path, right: ({ path }) => path });
  for await (const { left, right } of both) {
    if (left === null) {
      // Which of the files that are gone had other names nobody remembers.
      if (right?.inode && (right.type === 'file' || right.type === 'hardlink')) dirty.add(right.inode);
      if (right) gone.add(right);
      continue;
    }
    const facts = parseFacts(left.facts.toString('latin1'));
    const inode = facts.type === 'f' && facts.links > 1 ? facts.inode : null;
    if (right === null || !isUnchanged(facts, right)) {
      if (inode !== null) dirty.add(inode);
      if (right && right.inode !== facts.inode) gone.add(right);
      onNew(left.path, facts);
      await draft.add([left.path, Buffer.concat([Buffer.from(READ), left.facts])]);
      continue;
    }
    const kept = keptNote(encodeEntry(right));
    const note =
      inode !== null ? `${LINKED}${inode}\n${left.facts.toString('latin1')}\n${kept}` : `${KEPT}${kept}`;
    await draft.add([left.path, Buffer.from(note)]);
  }
  return dirty;
}

/** Without an earlier backup all is read. */
export async function* readAll(scanned: AsyncIterable<PathRecord>): AsyncGenerator<[Buffer, Buffer]> {
  for await (const { path, facts } of scanned) yield [path, Buffer.concat([Buffer.from(READ), facts])];
}

/**
 * Decides what is to be read: `names` gets it as tar wants it, `decided` every path of the scan with what is known of
 * it. The names of one content are read all or not at all, so that none of them points to a name that is no longer
 * there.
 */
export async function decide(
  records: AsyncIterable<[Buffer, Buffer]>,
  { dirty, large, copies }: { dirty: DirtySet | null; large: LargeFiles; copies: CopyPlan },
  { decided, names }: { decided: Spill; names: Spill },
  onRead: (facts: Facts) => void,
): Promise<void> {
  for await (const [path, note] of records) {
    const kind = String.fromCharCode(note[0] ?? 0);
    const rest = note.subarray(1);
    if (kind === KEPT) {
      await decided.add([path, note]);
      continue;
    }
    const linked = kind === LINKED ? splitLinked(rest) : null;
    if (linked && !dirty?.has(linked.inode)) {
      await decided.add([path, Buffer.concat([Buffer.from(KEPT), linked.line])]);
      continue;
    }
    const moved = large.moved(path);
    if (moved) {
      await decided.add([path, Buffer.from(`${KEPT}${keptNote(moved)}`)]);
      continue;
    }
    const text = linked?.facts ?? rest;
    if (large.isCopy(path)) {
      await decided.add([path, Buffer.concat([Buffer.from(COPY), text])]);
      continue;
    }
    const facts = parseFacts(text.toString('latin1'));
    onRead(facts);
    copies.see(path, facts);
    await names.add([memberName(path)]);
    await decided.add([path, Buffer.concat([Buffer.from(READ), text])]);
  }
}

function keptNote({ line, isFile, contentBytes, archive }: EncodedEntry): string {
  return `${isFile ? 1 : 0} ${contentBytes} ${archive} ${line}`;
}

/** What one decided record says; what is not read and not kept is a copy. */
export function readDecision(
  path: Buffer,
  note: Buffer,
): { facts: Facts; isRead: boolean } | { kept: EncodedEntry } {
  if (note[0] !== KEPT.charCodeAt(0)) {
    return { facts: parseFacts(note.toString('latin1', 1)), isRead: note[0] === READ.charCodeAt(0) };
  }
  const text = note.toString('utf8', 1);
  const brace = text.indexOf('{');
  const [isFile, contentBytes, archive] = text.slice(0, brace).split(' ');
  return {
    kept: {
      ...{ path, line: text.slice(brace), isFile: isFile === '1' },
      ...{ contentBytes: Number(contentBytes), archive: Number(archive) },
    },
  };
}

/** Contents, by inode. */
export interface DirtySet {
  add(inode: string): void;
  has(inode: string): boolean;
}

function createDirtySet(): DirtySet {
  const inodes = new Set<string>();
  let full = false;
  return {
    add(inode) {
      if (inodes.size < DIRTY_MAX) inodes.add(inode);
      else full = true;
    },
    has: (inode) => full || inodes.has(inode),
  };
}

function splitLinked(note: Buffer): { inode: string; facts: Buffer; line: Buffer } {
  const first = note.indexOf(0x0a);
  const second = note.indexOf(0x0a, first + 1);
  return {
    inode: note.subarray(0, first).toString(),
    facts: note.subarray(first + 1, second),
    line: note.subarray(second + 1),
  };
}
