const MIB = 1024 * 1024;

/** S3's own limits are 5 MiB (but for the last part) and 10,000 parts. */
export const SMALLEST_PART = 8 * MIB;
export const MOST_PARTS = 10_000;
const EVEN_PARTS = 9_000;
const GROW_EVERY = 200;

/**
 * How many bytes part `number` (from 1) has. The guess of the size makes 9,000 even parts at most; a stream that
 * goes on past them gets parts that double every 200, which takes it to more than twice the guess.
 */
export function partSize(number: number, sizeHint = 0): number {
  const even = Math.max(SMALLEST_PART, Math.ceil(sizeHint / EVEN_PARTS / MIB) * MIB);
  if (number <= EVEN_PARTS) return even;
  return even * 2 ** Math.ceil((number - EVEN_PARTS) / GROW_EVERY);
}

/** How many parts travel at once: memory holds that many and the one that is being filled. */
export function partsAtOnce(bytes: number): number {
  return bytes <= 16 * MIB ? 3 : 2;
}
