import { createExclusions } from '../foreign/exclusions.ts';
import { isBelow, parentOf } from '../paths.ts';
import type { PlacePair } from './places.ts';

const REMEMBERED = 10_000;

/**
 * Whether what lies on the server at a path below a pair's source survives when the pair is replaced: what excludes
 * leave out of its backups, working folders of restores, and what is to be kept. Roots inside the root stay roots,
 * and so do the folders on the way there.
 */
export function createStays(
  pairs: readonly PlacePair[],
  exclude: readonly string[],
): (pair: PlacePair, path: Buffer, isFolder: boolean) => boolean {
  const excluded = createExclusions(exclude);
  const inner = new Set<string>();
  const bridges = new Set<string>();
  for (const { source, inner: roots } of pairs) {
    for (const root of roots) {
      inner.add(root.toString('latin1'));
      for (let path = parentOf(root); isBelow(path, source); path = parentOf(path)) {
        bridges.add(path.toString('latin1'));
      }
    }
  }
  interface Verdict {
    out: boolean;
    kept: boolean;
  }
  const folders = new Map<string, Verdict>();
  const judge = (pair: PlacePair, path: Buffer, isFolder: boolean): Verdict => {
    if (path.equals(pair.source)) return { out: false, kept: false };
    const name = path.toString('latin1');
    const known = folders.get(name);
    if (known) return known;
    const above = judge(pair, parentOf(path), true);
    const verdict: Verdict = {
      out: !inner.has(name) && (above.out || excluded(path, isFolder)),
      kept: above.kept || pair.keep.has(name),
    };
    if (!isFolder) return verdict;
    if (folders.size >= REMEMBERED) folders.clear();
    folders.set(name, verdict);
    return verdict;
  };
  return (pair, path, isFolder) => {
    const { out, kept } = judge(pair, path, isFolder);
    return kept || (out && !bridges.has(path.toString('latin1')));
  };
}
