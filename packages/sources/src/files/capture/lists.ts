import { createPathSorter, type PathSorter } from './path-sorter.ts';
import { createSpill, type Spill } from './spill.ts';

/** What one capture keeps, on the worker's disk when there is much of it. */
export interface Lists {
  /** Every path of the scan with its facts. */
  sorter: PathSorter;
  /** The same in order, before it is certain what is read. */
  draft: Spill;
  /** The same in order, with what was decided. */
  decided: Spill;
  /** What tar is to read. */
  names: Spill;
  /** What tar has read. */
  read: Spill;
  /** Safe to call twice. */
  close(): Promise<void>;
}

export function createLists(dir: string): Lists {
  const sorter = createPathSorter({ dir });
  const spills = {
    draft: createSpill(dir),
    decided: createSpill(dir),
    names: createSpill(dir),
    read: createSpill(dir),
  };
  return {
    sorter,
    ...spills,
    async close() {
      for (const list of [sorter, ...Object.values(spills)]) await list.close();
    },
  };
}
