import { type IndexedEntry, mergeJoin } from '@tarfleet/archive';
import type { CopyPlan } from '../copies/copy-plan.ts';
import type { GoneFiles } from '../copies/gone-files.ts';
import type { LargeFiles } from '../copies/large-files.ts';
import { memberName } from '../paths.ts';
import { copyNote, createKeptNotes, keptNote, linkedNote, readDraft, readNote } from './decisions.ts';
import { type Facts, isUnchanged, parseFacts } from './facts.ts';
import type { PathRecord } from './merge-runs.ts';
import type { Spill } from './spill.ts';

/** More contents than this whose names changed in part are not told apart: then all that have several are read. */
const DIRTY_MAX = 500_000;

/**
 * The first look, in constant memory: `draft` gets every path of the scan, to be read or kept. `gone` gets the files
 * that are no longer where they were, `onNew` what is to be read. Gives the contents of which some name is new,
 * changed or gone.
 */
export async function compare(
  scanned: AsyncIterable<PathRecord[]>,
  parent: AsyncGenerator<IndexedEntry[]>,
  { draft, gone, onNew }: { draft: Spill; gone: GoneFiles; onNew: (path: Buffer, facts: Facts) => void },
): Promise<DirtySet> {
  const dirty = createDirtySet();
  const kept = createKeptNotes();
  /** What the draft gets. */
  const look = (now: PathRecord | null, before: IndexedEntry | null): Buffer[] => {
    const entry = before?.entry;
    if (now === null) {
      // Which of the files that are gone had other names nobody remembers.
      if (entry?.inode && (entry.type === 'file' || entry.type === 'hardlink')) dirty.add(entry.inode);
      if (entry) gone.add(entry);
      return [];
    }
    const facts = parseFacts(now.facts);
    const inode = facts.type === 'f' && facts.links > 1 ? facts.inode : null;
    if (before !== null && isUnchanged(facts, before.entry)) {
      if (inode === null) return kept.add(before);
      return [...kept.take(), now.path, linkedNote(inode, now.facts, before)];
    }
    if (inode !== null) dirty.add(inode);
    if (entry && entry.inode !== facts.inode) gone.add(entry);
    onNew(now.path, facts);
    return [...kept.take(), now.path, readNote(now.facts)];
  };
  const both = mergeJoin(scanned, parent, { left: ({ path }) => path, right: ({ entry }) => entry.path });
  for await (const pairs of both) {
    const records: Buffer[] = [];
    for (const { left, right } of pairs) {
      const found = look(left, right);
      if (found.length > 0) records.push(...found);
    }
    if (records.length > 0) await draft.add(records);
  }
  await draft.add(kept.take());
  return dirty;
}

/** Without an earlier backup all is read. */
export async function* readAll(scanned: AsyncIterable<PathRecord[]>): AsyncGenerator<[Buffer, Buffer][]> {
  for await (const batch of scanned) yield batch.map(({ path, facts }) => [path, readNote(facts)]);
}

/**
 * Decides what is to be read: `names` gets it as tar wants it, `decided` every path of the scan with what is known of
 * it. The names of one content are read all or not at all, so that none of them points to a name that is no longer
 * there.
 */
export async function decide(
  records: AsyncIterable<[Buffer, Buffer][]>,
  { dirty, large, copies }: { dirty: DirtySet | null; large: LargeFiles; copies: CopyPlan },
  { decided, names }: { decided: Spill; names: Spill },
  onRead: (facts: Facts) => void,
): Promise<void> {
  for await (const batch of records) {
    const wanted: Buffer[] = [];
    const noteOf = (path: Buffer, note: Buffer): Buffer => {
      const draft = readDraft(note);
      if (draft.kind === 'kept') return note;
      if (draft.kind === 'linked' && !dirty?.has(draft.inode)) return draft.kept;
      const moved = large.moved(path);
      if (moved) return keptNote([moved]);
      if (large.isCopy(path)) return copyNote(draft.facts);
      const facts = parseFacts(draft.facts);
      onRead(facts);
      copies.see(path, facts);
      wanted.push(memberName(path));
      return readNote(draft.facts);
    };
    await decided.add(batch.flatMap(([path, note]) => [path, noteOf(path, note)]));
    if (wanted.length > 0) await names.add(wanted);
  }
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
