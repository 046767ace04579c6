/** Beyond so many contents whose further names are still to come, each name counts by itself. */
const REMEMBERED_MAX = 500_000;

export interface LinkCounter {
  /** Whether this name is the first (or, if asked for, the last) of a content with `links` names. */
  first(id: string, links: number): boolean;
  last(id: string, links: number): boolean;
}

/** Tells apart the names of one content by device and inode, in bounded memory. */
export function createLinkCounter(): LinkCounter {
  const left = new Map<string, number>();
  const see = (id: string, links: number): { first: boolean; last: boolean } => {
    if (links <= 1) return { first: true, last: true };
    const before = left.get(id);
    if (before === undefined && left.size >= REMEMBERED_MAX) return { first: true, last: true };
    const now = (before ?? links) - 1;
    if (now > 0) left.set(id, now);
    else left.delete(id);
    return { first: before === undefined, last: now === 0 };
  };
  return { first: (id, links) => see(id, links).first, last: (id, links) => see(id, links).last };
}
