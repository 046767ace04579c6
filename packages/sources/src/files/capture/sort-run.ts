/** Shorter ranges are sorted by insertion. */
const FEW = 12;

/** Sorts where records begin by their texts, plain bytes each, equal ones by where they begin. */
export function sortRun(arena: Buffer, offsets: readonly number[], headBytes: number): Uint32Array {
  const order = Uint32Array.from(offsets);
  const lengthOf = (at: number): number => arena.readUInt32LE(at);
  /** Behind its end a text has -1. */
  const byteOf = (at: number, depth: number): number =>
    depth < lengthOf(at) ? (arena[at + headBytes + depth] ?? -1) : -1;
  const at = (place: number): number => order[place] ?? 0;
  const exchange = (one: number, two: number): void => {
    const kept = at(one);
    order[one] = at(two);
    order[two] = kept;
  };
  const compare = (a: number, b: number, depth: number): number => {
    for (let byte = depth; ; byte += 1) {
      const [one, two] = [byteOf(a, byte), byteOf(b, byte)];
      if (one !== two) return one - two;
      if (one < 0) return a - b;
    }
  };
  const insert = (from: number, to: number, depth: number): void => {
    for (let next = from + 1; next < to; next += 1) {
      const moving = at(next);
      let place = next;
      for (; place > from && compare(at(place - 1), moving, depth) > 0; place -= 1) {
        order[place] = at(place - 1);
      }
      order[place] = moving;
    }
  };
  /**
   * Bentley and Sedgewick's multikey quicksort ("Fast Algorithms for Sorting and Searching Strings", 1997): bytes
   * that all of a range share, as names in a tree do, are looked at once. The longest part is done last, in the
   * same call, so that the stack stays short.
   */
  const sort = (from: number, to: number, depth: number): void => {
    for (;;) {
      if (to - from <= FEW) {
        insert(from, to, depth);
        return;
      }
      const pivot = median(
        byteOf(at(from), depth),
        byteOf(at((from + to) >>> 1), depth),
        byteOf(at(to - 1), depth),
      );
      let [less, place, more] = [from, from, to];
      while (place < more) {
        const byte = byteOf(at(place), depth);
        if (byte < pivot) {
          exchange(less, place);
          less += 1;
          place += 1;
        } else if (byte > pivot) {
          more -= 1;
          exchange(place, more);
        } else place += 1;
      }
      // All of them end here.
      if (pivot < 0) order.subarray(less, more).sort();
      const middle = pivot < 0 ? { from: less, to: less, depth } : { from: less, to: more, depth: depth + 1 };
      const parts = [{ from, to: less, depth }, middle, { from: more, to, depth }];
      parts.sort((a, b) => a.to - a.from - (b.to - b.from));
      const longest = parts.pop() ?? middle;
      for (const part of parts) sort(part.from, part.to, part.depth);
      ({ from, to, depth } = longest);
    }
  };
  sort(0, order.length, 0);
  return order;
}

function median(a: number, b: number, c: number): number {
  return Math.max(Math.min(a, b), Math.min(Math.max(a, b), c));
}
