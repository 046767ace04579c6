import { comparePaths } from '@tarfleet/archive';

export interface PathRecord {
  path: Buffer;
  /** One character a byte. */
  facts: string;
}

/** A run that is being merged: its record that comes next, and where more come from. */
interface Cursor {
  number: number;
  next: PathRecord;
  batch: PathRecord[];
  at: number;
  more: AsyncGenerator<PathRecord[]>;
}

/** So many records are given at a time. */
const BATCH = 512;

/** Sorted runs as one, by a heap of what comes next in each; equal paths once, from the earliest run. */
export async function* mergeRuns(runs: AsyncGenerator<PathRecord[]>[]): AsyncGenerator<PathRecord[]> {
  const heap: Cursor[] = [];
  let before: Buffer | null = null;
  try {
    for (const [number, more] of runs.entries()) {
      const cursor = await advance({ number, batch: [], at: 0, more });
      if (cursor) push(heap, cursor);
    }
    let merged: PathRecord[] = [];
    for (let first = heap[0]; first; first = heap[0]) {
      const record = first.next;
      if (before === null || !before.equals(record.path)) merged.push(record);
      before = record.path;
      const cursor = first.at < first.batch.length ? stepped(first) : await advance(first);
      replaceFirst(heap, cursor);
      if (merged.length < BATCH) continue;
      yield merged;
      merged = [];
    }
    if (merged.length > 0) yield merged;
  } finally {
    for (const run of runs) await run.return(undefined);
  }
}

async function advance(cursor: Omit<Cursor, 'next'>): Promise<Cursor | null> {
  const { done, value } = await cursor.more.next();
  if (done) return null;
  return stepped(Object.assign(cursor, { batch: value, at: 0 }));
}

/** To the next record of the batch that is here. */
function stepped(cursor: Omit<Cursor, 'next'>): Cursor | null {
  const next = cursor.batch[cursor.at];
  cursor.at += 1;
  return next === undefined ? null : Object.assign(cursor, { next });
}

function isBefore(a: Cursor, b: Cursor): boolean {
  const order = comparePaths(a.next.path, b.next.path);
  return order < 0 || (order === 0 && a.number < b.number);
}

function push(heap: Cursor[], cursor: Cursor): void {
  heap.push(cursor);
  for (let at = heap.length - 1; at > 0; ) {
    const parent = (at - 1) >> 1;
    if (!swapIfBefore(heap, at, parent)) return;
    at = parent;
  }
}

/** Puts the first one, which has moved on or is at its end (null), where it belongs now. */
function replaceFirst(heap: Cursor[], cursor: Cursor | null): void {
  const last = cursor === null ? heap.pop() : undefined;
  if (last && heap.length > 0) heap[0] = last;
  for (let at = 0; ; ) {
    const [left, right] = [heap[2 * at + 1], heap[2 * at + 2]];
    if (!left) return;
    const child = right && isBefore(right, left) ? 2 * at + 2 : 2 * at + 1;
    if (!swapIfBefore(heap, child, at)) return;
    at = child;
  }
}

function swapIfBefore(heap: Cursor[], lower: number, upper: number): boolean {
  const [below, above] = [heap[lower], heap[upper]];
  if (!below || !above || !isBefore(below, above)) return false;
  heap[lower] = above;
  heap[upper] = below;
  return true;
}
