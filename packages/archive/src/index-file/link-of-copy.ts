import type { IndexEntry } from './format.ts';

/** The hard link that an archive holds in the place of a copy's content, as an entry of its own; null for what is no copy. */
export function linkOfCopy(entry: IndexEntry): IndexEntry | null {
  const { as, copy, at } = entry;
  if (copy === null || as === null) return null;
  return {
    ...entry,
    ...{ type: 'hardlink', linkTarget: as.subarray(1), sha256: null, xattrs: null },
    ...{ as: null, at: { archive: at.archive, ...copy }, copy: null },
  };
}
