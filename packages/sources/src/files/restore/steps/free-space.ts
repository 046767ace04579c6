import { AppError } from '@tarfleet/kernel';
import type { Surroundings } from './look.ts';

/** Kept free beside what is to come: a filesystem that is full to its last block harms whatever else writes there. */
const MARGIN_BYTES = 16 * 1024 * 1024;
/** Of a small one no more than this share of what is free. */
const MARGIN_SHARE = 0.05;

/**
 * Whether the files to come find room. Where they go to several filesystems it is not known how much goes to each:
 * then it counts whether all together have it, and an unpacking that fills one up fails before anything is changed.
 */
export function assertRoom(
  found: readonly { folder: Buffer; around: Surroundings }[],
  needs: { bytes: number; files: number },
): void {
  const where = found.map(({ folder }) => folder.toString()).join(', ');
  const bytes = total(found.map(({ around }) => around.freeBytes));
  if (bytes !== null && bytes - Math.min(MARGIN_BYTES, bytes * MARGIN_SHARE) < needs.bytes) {
    throw lacking(`${needs.bytes} bytes are needed beside what is there, and ${bytes} are free`, where);
  }
  const files = total(found.map(({ around }) => around.freeFiles));
  if (files !== null && files < needs.files) {
    throw lacking(`${needs.files} files are to come, and there is room for ${files} (inodes)`, where);
  }
}

function total(numbers: readonly (number | null)[]): number | null {
  return numbers.reduce((sum, one) => (sum === null || one === null ? null : sum + one), 0 as number | null);
}

function lacking(what: string, where: string): AppError {
  return new AppError(
    'INSUFFICIENT_STORAGE',
    `There is not enough room on the server (${where}): ${what}. A restore unpacks a second copy beside the first. Make room there, then restore again.`,
  );
}
