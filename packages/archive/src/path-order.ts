const SLASH = 0x2f;

/**
 * The order of an index and of the archive beside it: by bytes, but `/` before every other one. So all that is in
 * a folder follows it at once, as every tar expects that sets a folder's time when it leaves it.
 */
export function comparePaths(a: Buffer, b: Buffer): number {
  const shorter = Math.min(a.length, b.length);
  for (let at = 0; at < shorter; at += 1) {
    const [one = 0, two = 0] = [a[at], b[at]];
    if (one !== two) return (one === SLASH ? 0 : one) - (two === SLASH ? 0 : two);
  }
  return a.length - b.length;
}
