import { createRepeats, encodeEntry, type IndexEntry, SMALL_BYTES } from '@tarfleet/archive';
import type { Facts } from '../capture/facts.ts';
import type { Copies } from '../capture/pass-tar.ts';
import { entryOf, type GoneFiles } from './gone-files.ts';
import type { LargeFiles } from './large-files.ts';

/** What is known before anything is read of files that need not be stored again. */
export interface CopyPlan {
  /** A file that is to be read. */
  see(path: Buffer, facts: Facts): void;
  /** What the reading is to look for; null: nothing. */
  copies(): Copies | null;
}

export function createCopyPlan({
  deduplicate,
  gone,
  large,
}: {
  deduplicate: boolean;
  gone: GoneFiles;
  large: LargeFiles;
}): CopyPlan {
  const repeats = deduplicate ? createRepeats() : null;
  const moved = new Map<string, string>();
  return {
    see(path, facts) {
      if (facts.type !== 'f' || facts.size === 0 || facts.size > SMALL_BYTES) return;
      repeats?.see({ ...facts, mtime: Number(facts.mtime) });
      const from = gone.find(facts);
      if (from) moved.set(path.toString('latin1'), encodeEntry(from));
    },
    copies() {
      if (repeats === null && moved.size === 0) return null;
      const movedFrom = (path: Buffer): IndexEntry | null => {
        const line = moved.size > 0 ? moved.get(path.toString('latin1')) : undefined;
        return line === undefined ? null : entryOf(line);
      };
      return { repeats, movedFrom, largeCopies: large.copies };
    },
  };
}
