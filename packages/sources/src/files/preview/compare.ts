import { type IndexEntry, type Joined, mergeJoin } from '@tarfleet/archive';
import type { PreviewChanges } from '@tarfleet/contracts';
import { type Facts, isOfType, parseFacts } from '../capture/facts.ts';
import type { PathRecord } from '../capture/merge-runs.ts';
import { isBelow } from '../paths.ts';
import { moved, type PlacePair, pairFinder } from './places.ts';
import { type Counted, count, countedOfBackup, countedOnServer, emptyChanges } from './tally.ts';

/** A filesystem's or an archive's time may be this much off, in seconds. */
const SAME_TIME = 1e-5;
/** Entries of the index that are compared at a time. */
const BATCH = 500;

interface CompareOptions {
  pairs: readonly PlacePair[];
  overwrite: boolean;
  stays(pair: PlacePair, path: Buffer, isFolder: boolean): boolean;
}

/** What there is beside what comes, both sorted by the paths of the backup; in constant memory. */
export async function compare(
  listed: AsyncIterable<readonly PathRecord[]>,
  entries: AsyncIterable<IndexEntry>,
  { pairs, overwrite, stays }: CompareOptions,
): Promise<PreviewChanges> {
  const changes = emptyChanges();
  const pairOf = pairFinder(pairs);
  const going = createGoing(changes);
  /** What lies there and stays, so that nothing of the backup gets below it. */
  let blocked: Buffer | null = null;
  const see = ({ left, right }: Joined<PathRecord, IndexEntry>): void => {
    const path = left?.path ?? right?.path;
    const pair = path && pairOf(path);
    if (!path || !pair) return;
    const shown = moved(path, pair.source, pair.place);
    if (blocked !== null && !isBelow(path, blocked)) blocked = null;
    going.at(path);
    if (!left) {
      if (right && blocked === null) count(changes.created, countedOfBackup(shown, right));
      return;
    }
    const there = readRecord(left);
    const counted = countedOnServer(shown, there.facts);
    const isFolder = there.facts.type === 'd';
    if (right === null && path.equals(pair.source)) {
      // What the backup does not hold at all is left alone, with all that is in it.
      blocked = path;
    }
    if (pair.closed.has(path.toString('latin1'))) blocked ??= path;
    if (blocked !== null || !overwrite || stays(pair, path, isFolder)) {
      const same = right !== null && blocked === null && !overwrite && isSame(there, right);
      count(same ? changes.unchanged : changes.kept, counted);
      if (overwrite) going.keep();
      if (overwrite || !isFolder) blocked ??= path;
      return;
    }
    if (right === null) going.add(path, counted, isFolder);
    else if (isSame(there, right)) count(changes.unchanged, counted);
    else count(changes.overwritten, countedOfBackup(shown, right));
  };
  const keys = { left: ({ path }: PathRecord) => path, right: ({ path }: IndexEntry) => path };
  for await (const joined of mergeJoin(listed, inBatches(entries), keys)) joined.forEach(see);
  going.end();
  return changes;
}

async function* inBatches<T>(items: AsyncIterable<T>): AsyncGenerator<T[]> {
  let batch: T[] = [];
  for await (const item of items) {
    batch.push(item);
    if (batch.length < BATCH) continue;
    yield batch;
    batch = [];
  }
  if (batch.length > 0) yield batch;
}

/** Folders that only the server has go, unless something in them stays: that shows later. */
function createGoing(changes: PreviewChanges) {
  const open: { path: Buffer; counted: Counted }[] = [];
  const leave = (until: (path: Buffer) => boolean): void => {
    for (let last = open.at(-1); last && !until(last.path); last = open.at(-1)) {
      open.pop();
      count(changes.deleted, last.counted);
    }
  };
  return {
    /** The path that is looked at now. */
    at: (path: Buffer): void => leave((folder) => isBelow(path, folder)),
    add(path: Buffer, counted: Counted, isFolder: boolean): void {
      if (isFolder) open.push({ path, counted });
      else count(changes.deleted, counted);
    },
    keep(): void {
      for (const { counted } of open.splice(0)) count(changes.kept, counted);
    },
    end: (): void => leave(() => false),
  };
}

interface Found {
  facts: Facts;
  link: Buffer;
}

function readRecord({ facts: text }: PathRecord): Found {
  const end = text.indexOf('\n');
  return { facts: parseFacts(text.slice(0, end)), link: Buffer.from(text.slice(end + 1), 'latin1') };
}

/** As far as names and attributes tell. A folder's time and a symlink's are not looked at. */
function isSame({ facts, link }: Found, entry: IndexEntry): boolean {
  if (!isOfType(facts, entry) || facts.uid !== entry.uid || facts.gid !== entry.gid) return false;
  if (facts.type === 'l') return entry.linkTarget?.equals(link) ?? false;
  if (facts.mode !== entry.mode) return false;
  if (facts.type === 'd') return true;
  if (facts.type === 'f' && facts.size !== entry.size) return false;
  return Math.abs(Number(facts.mtime) - Number(entry.mtime)) <= SAME_TIME;
}
