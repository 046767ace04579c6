import type { TarEntry } from '../types.ts';

/** What files must have in common before their contents are compared. */
export type FileFacts = Pick<TarEntry, 'size' | 'mode' | 'uid' | 'gid' | 'mtime'>;

/** Which facts were seen more than once, in a table of fixed size: now and then one that was seen once is taken for such. */
export interface Repeats {
  see(facts: FileFacts): void;
  mayRepeat(facts: FileFacts): boolean;
}

/** Counters, a power of two; each of them is a byte. */
const SLOTS = 4 * 1024 * 1024;
const MANY = 2;

export function createRepeats(): Repeats {
  const counts = new Uint8Array(SLOTS);
  const time = new Float64Array(1);
  const halves = new Uint32Array(time.buffer);
  const slotOf = ({ size, mode, uid, gid, mtime }: FileFacts): number => {
    time[0] = mtime;
    let hash = 0x811c9dc5;
    for (const word of [
      size | 0,
      (size / 0x1_0000_0000) | 0,
      mode,
      uid,
      gid,
      halves[0] ?? 0,
      halves[1] ?? 0,
    ]) {
      hash = Math.imul(hash ^ word, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return hash & (SLOTS - 1);
  };
  return {
    see(facts) {
      const slot = slotOf(facts);
      if ((counts[slot] ?? 0) < MANY) counts[slot] = (counts[slot] ?? 0) + 1;
    },
    mayRepeat: (facts) => counts[slotOf(facts)] === MANY,
  };
}
