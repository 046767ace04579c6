import { expect, test } from '@jest/globals';
import { MOST_PARTS, partSize, SMALLEST_PART } from './part-sizes.ts';

const GIB = 1024 ** 3;

/** How much a stream can hold within the most parts that S3 takes. */
function capacity(sizeHint: number): number {
  let bytes = 0;
  for (let number = 1; number <= MOST_PARTS; number += 1) bytes += partSize(number, sizeHint);
  return bytes;
}

test.each([0, 1, GIB, 70 * GIB, 500 * GIB, 4000 * GIB])(
  'a guess of %d bytes is enough for twice as many',
  (hint) => {
    expect(capacity(hint)).toBeGreaterThan(Math.max(2 * hint, 150 * GIB));
    expect(partSize(1, hint)).toBeGreaterThanOrEqual(SMALLEST_PART);
    // As many parts as were planned have one size, which some servers insist on.
    const planned = Math.ceil(hint / partSize(1, hint));
    expect(planned).toBeLessThanOrEqual(9000);
    expect(partSize(Math.max(1, planned), hint)).toBe(partSize(1, hint));
  },
);

test('a small or unknown stream takes little memory', () => {
  expect(partSize(1)).toBe(SMALLEST_PART);
  expect(partSize(9000)).toBe(SMALLEST_PART);
  expect(partSize(1, 5 * GIB)).toBe(SMALLEST_PART);
});
