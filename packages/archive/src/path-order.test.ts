import { expect, test } from '@jest/globals';
import fc from 'fast-check';
import { comparePaths } from './path-order.ts';

/** Few letters, so that paths are often equal at their beginning; the bytes around the slash among them. */
const letter = fc.constantFrom(0x01, 0x2e, 0x2f, 0x30, 0x61, 0xff);
const path = fc.array(letter, { maxLength: 6 }).map((bytes) => Buffer.from([0x2f, ...bytes]));

test('it is a total order', () => {
  fc.assert(
    fc.property(path, path, path, (a, b, c) => {
      expect(comparePaths(a, b) === 0).toBe(a.equals(b));
      expect(Math.sign(comparePaths(a, b))).toBe(-Math.sign(comparePaths(b, a)) + 0);
      if (comparePaths(a, b) <= 0 && comparePaths(b, c) <= 0) {
        expect(comparePaths(a, c)).toBeLessThanOrEqual(0);
      }
    }),
    { numRuns: 5_000 },
  );
});

test('all that is in a folder follows it at once', () => {
  fc.assert(
    fc.property(path, path, path, (folder, name, other) => {
      const inside = Buffer.concat([folder, Buffer.from('/'), name]);
      expect(comparePaths(folder, inside)).toBeLessThan(0);
      const between = comparePaths(folder, other) < 0 && comparePaths(other, inside) < 0;
      if (between)
        expect(other.subarray(0, folder.length + 1)).toEqual(inside.subarray(0, folder.length + 1));
    }),
    { numRuns: 5_000 },
  );
  const sorted = ['/a', '/a/b', '/a/b/c', '/a/b!', '/a/b-', '/a/c', '/a!', '/a.d', '/b'];
  const shuffled = [...sorted].reverse().map((text) => Buffer.from(text));
  expect(shuffled.sort(comparePaths).map(String)).toEqual(sorted);
});
