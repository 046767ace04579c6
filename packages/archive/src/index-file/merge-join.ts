import { comparePaths } from '../path-order.ts';

/** What two sorted lists have at one key: in the left one, in the right one, or in both. */
export interface Joined<L, R> {
  left: L | null;
  right: R | null;
}

/** One of two lists: the part of it that is here, and where in it the walk is. */
interface Side<T> {
  more: AsyncIterator<readonly T[]>;
  keyOf(item: T): Buffer;
  batch: readonly T[];
  at: number;
  item: T | null;
  key: Buffer | null;
}

/**
 * Walks two lists side by side in constant memory; they come in batches, and so do the pairs, for a wait at each
 * item costs more than the item. Both must be sorted as `comparePaths` has it, each key once: else TypeError. Both
 * are closed when the caller leaves early.
 */
export async function* mergeJoin<L, R>(
  left: AsyncIterable<readonly L[]>,
  right: AsyncIterable<readonly R[]>,
  key: { left(item: L): Buffer; right(item: R): Buffer },
): AsyncGenerator<Joined<L, R>[]> {
  const a = createSide(left, key.left);
  const b = createSide(right, key.right);
  try {
    await Promise.all([fill(a), fill(b)]);
    while (a.item !== null || b.item !== null) {
      yield joinBatches(a, b);
      if (a.item === null) await fill(a);
      if (b.item === null) await fill(b);
    }
  } finally {
    await Promise.all([a.more.return?.(), b.more.return?.()]);
  }
}

/** Up to the end of what is here of one side. */
function joinBatches<L, R>(a: Side<L>, b: Side<R>): Joined<L, R>[] {
  const joined: Joined<L, R>[] = [];
  const ended = { a: a.item === null, b: b.item === null };
  while ((a.item !== null || ended.a) && (b.item !== null || ended.b)) {
    const order = ended.a ? 1 : ended.b ? -1 : compareKeys(a, b);
    joined.push({ left: order <= 0 ? a.item : null, right: order >= 0 ? b.item : null });
    if (order <= 0) step(a);
    if (order >= 0) step(b);
  }
  return joined;
}

function compareKeys(a: Side<unknown>, b: Side<unknown>): number {
  return a.key === null || b.key === null ? 0 : comparePaths(a.key, b.key);
}

function createSide<T>(items: AsyncIterable<readonly T[]>, keyOf: (item: T) => Buffer): Side<T> {
  return { more: items[Symbol.asyncIterator](), keyOf, batch: [], at: -1, item: null, key: null };
}

async function fill(side: Side<unknown>): Promise<void> {
  while (side.item === null) {
    const { done, value } = await side.more.next();
    if (done) return;
    side.batch = value;
    side.at = -1;
    step(side);
  }
}

/** To the next item; to none at the end of the batch. */
function step<T>(side: Side<T>): void {
  side.at += 1;
  const { batch, at, key: before } = side;
  const item = batch[at];
  if (item === undefined) {
    side.item = null;
    return;
  }
  const key = side.keyOf(item);
  if (before !== null && comparePaths(before, key) >= 0) {
    throw new TypeError(`The list is not sorted at ${JSON.stringify(key.toString())}.`);
  }
  side.item = item;
  side.key = key;
}
