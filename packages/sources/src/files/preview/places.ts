import { comparePaths } from '@tarfleet/archive';
import { isAtOrBelow, isBelow } from '../paths.ts';
import type { PlacedRoot } from '../restore/locate.ts';
import { joinPath } from '../restore/steps/prepared-state.ts';

/** A root of the backup and its place on the server. */
export interface PlacePair {
  /** As it was backed up, absolute. */
  source: Buffer;
  /** On the server, symlinks resolved. */
  place: Buffer;
  /** Other roots of the service inside it, as they were backed up. */
  inner: Buffer[];
  /** Paths below it that stay as they are, as if they had been backed up; one character per byte. */
  keep: Set<string>;
  /** Those of them that nothing of the backup comes into, even where it would only add. */
  closed: Set<string>;
}

/** Sorted by source. What is itself to be kept is not restored at all, and is no pair. */
export function pairPlaces(
  roots: readonly PlacedRoot[],
  kept: readonly Buffer[],
  closed: readonly Buffer[],
): PlacePair[] {
  const keep = [...kept, ...closed];
  const pairs = roots.flatMap((root): PlacePair[] => {
    const place = joinPath(root.anchor, root.rest);
    if (keep.some((path) => path.equals(place) || path.equals(root.target))) return [];
    const source = root.member === null ? Buffer.from('/') : Buffer.concat([Buffer.from('/'), root.staged]);
    const inside = (paths: readonly Buffer[]): Set<string> => {
      const found = [place, root.target].flatMap((around) =>
        paths.filter((path) => isBelow(path, around)).map((path) => moved(path, around, source)),
      );
      return new Set(found.map((path) => path.toString('latin1')));
    };
    return [
      {
        ...{ source, place },
        inner: root.inner.map((path) => moved(Buffer.concat([place, Buffer.from('/'), path]), place, source)),
        ...{ keep: inside(keep), closed: inside(closed) },
      },
    ];
  });
  return pairs.sort((a, b) => comparePaths(a.source, b.source));
}

/** A path at or below `from`, as it is called below `to`. */
export function moved(path: Buffer, from: Buffer, to: Buffer): Buffer {
  const rest = path.subarray(from.length === 1 ? 0 : from.length);
  if (rest.length === 0 || (from.length === 1 && path.length === 1)) return to;
  return to.length === 1 ? rest : Buffer.concat([to, rest]);
}

/** Finds the pair that a path belongs to; the paths must come sorted, as the pairs are. */
export function pairFinder(pairs: readonly PlacePair[]): (path: Buffer) => PlacePair | null {
  let at = 0;
  return (path) => {
    for (let pair = pairs[at]; pair; pair = pairs[at]) {
      if (isAtOrBelow(path, pair.source)) return pair;
      if (comparePaths(pair.source, path) > 0) return null;
      at += 1;
    }
    return null;
  };
}
