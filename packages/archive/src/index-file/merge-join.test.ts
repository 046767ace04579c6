import { describe, expect, test } from '@jest/globals';
import fc from 'fast-check';
import { comparePaths } from '../path-order.ts';
import { type Joined, mergeJoin } from './merge-join.ts';
import { collect } from './testing/index-files.ts';

interface Item {
  path: Buffer;
  value: number;
}

const key = { left: ({ path }: Item) => path, right: ({ path }: Item) => path };

/** A list as a stream of batches (the last one with the rest) that tells when it was closed. */
function stream(items: readonly Item[], sizes: readonly number[] = items.map(() => 1)) {
  const state = { given: 0, closed: 0 };
  async function* all(): AsyncGenerator<Item[]> {
    let from = 0;
    try {
      for (const size of [...sizes, items.length]) {
        const batch = items.slice(from, from + size);
        from += batch.length;
        state.given = from;
        yield batch;
      }
    } finally {
      state.closed += 1;
    }
  }
  return { state, items: all() };
}

const bytes = fc.array(fc.constantFrom(0x2e, 0x2f, 0x30, 0xe9), { maxLength: 4 });
const list = fc
  .uniqueArray(bytes, { maxLength: 30, selector: (path) => path.join() })
  .map((paths) =>
    paths
      .map((path, value): Item => ({ path: Buffer.from([0x2f, ...path]), value }))
      .sort((a, b) => comparePaths(a.path, b.path)),
  );

/** The same by looking each path up in both lists. */
function naive(left: readonly Item[], right: readonly Item[]): Joined<Item, Item>[] {
  const paths = new Map([...left, ...right].map(({ path }) => [path.toString('hex'), path]));
  return [...paths.values()].sort(comparePaths).map((path) => ({
    left: left.find((item) => item.path.equals(path)) ?? null,
    right: right.find((item) => item.path.equals(path)) ?? null,
  }));
}

const sizes = fc.array(fc.nat(5), { maxLength: 8 });

test('it gives what a look-up of every path gives', async () => {
  await fc.assert(
    fc.asyncProperty(list, list, sizes, sizes, async (left, right, one, two) => {
      const [a, b] = [stream(left, one), stream(right, two)];
      const found = await collect(mergeJoin(a.items, b.items, key));
      expect(found.flat()).toEqual(naive(left, right));
      expect([a.state.closed, b.state.closed]).toEqual([1, 1]);
    }),
    { numRuns: 500 },
  );
});

const named = (...paths: string[]): Item[] =>
  paths.map((path, value) => ({ path: Buffer.from(path), value }));

describe('both sides are closed', () => {
  const many = named(...Array.from({ length: 50 }, (_, n) => `/${String(n).padStart(2, '0')}`));

  test('when the caller leaves, and no more of them is read than that', async () => {
    const [a, b] = [stream(many), stream(many.slice(10))];
    let seen = 0;
    for await (const _ of mergeJoin(a.items, b.items, key)) {
      seen += 1;
      if (seen === 5) break;
    }
    expect([a.state, b.state]).toEqual([
      { given: 5, closed: 1 },
      { given: 1, closed: 1 },
    ]);
  });

  test.each(['left', 'right'])('when the %s one fails', async (side) => {
    const good = stream(many);
    const state = { closed: 0 };
    async function* failing(): AsyncGenerator<Item[]> {
      try {
        yield many.slice(0, 3);
        throw new Error('cut');
      } finally {
        state.closed += 1;
      }
    }
    const both: [AsyncGenerator<Item[]>, AsyncGenerator<Item[]>] =
      side === 'left' ? [failing(), good.items] : [good.items, failing()];
    await expect(collect(mergeJoin(...both, key))).rejects.toThrow('cut');
    expect([state.closed, good.state.closed]).toEqual([1, 1]);
  });
});

test.each([
  ['out of order', named('/b', '/a')],
  ['with a path twice', named('/a', '/a')],
  ['with a folder behind what is in it', named('/a/b', '/a')],
])('a list %s is refused, on either side', async (_what, wrong) => {
  const right = named('/a', '/b', '/c');
  for (const both of [
    [wrong, right],
    [right, wrong],
  ] as const) {
    const [a, b] = [stream(both[0]), stream(both[1])];
    await expect(collect(mergeJoin(a.items, b.items, key))).rejects.toThrow(TypeError);
    expect([a.state.closed, b.state.closed]).toEqual([1, 1]);
  }
});
