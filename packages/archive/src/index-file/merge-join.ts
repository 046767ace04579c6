import { comparePaths } from '../path-order.ts';

/** What two sorted lists have at one key: in the left one, in the right one, or in both. */
export interface Joined<L, R> {
  left: L | null;
  right: R | null;
}

/**
 * Walks two lists side by side in constant memory. Both must be sorted as `comparePaths` has it, each key once:
 * else TypeError. Both are closed when the caller leaves early.
 */
export async function* mergeJoin<L, R>(
  left: AsyncIterable<L>,
  right: AsyncIterable<R>,
  key: { left(item: L): Buffer; right(item: R): Buffer },
): AsyncGenerator<Joined<L, R>> {
  const a = sorted(left, key.left);
  const b = sorted(right, key.right);
  try {
    let [l, r] = await Promise.all([a.next(), b.next()]);
    while (!l.done || !r.done) {
      const order = l.done ? 1 : r.done ? -1 : comparePaths(l.value.key, r.value.key);
      yield {
        left: order <= 0 && !l.done ? l.value.item : null,
        right: order >= 0 && !r.done ? r.value.item : null,
      };
      const stepLeft = order <= 0;
      const stepRight = order >= 0;
      if (stepLeft) l = await a.next();
      if (stepRight) r = await b.next();
    }
  } finally {
    await Promise.all([a.return(undefined), b.return(undefined)]);
  }
}

async function* sorted<T>(
  items: AsyncIterable<T>,
  keyOf: (item: T) => Buffer,
): AsyncGenerator<{ key: Buffer; item: T }> {
  let before: Buffer | null = null;
  for await (const item of items) {
    const key = keyOf(item);
    if (before !== null && comparePaths(before, key) >= 0) {
      throw new TypeError(`The list is not sorted at ${JSON.stringify(key.toString())}.`);
    }
    before = key;
    yield { key, item };
  }
}
