import type { CaptureOptions } from '../../types.ts';
import { compare, type DirtySet, readAll } from '../capture/compare.ts';
import { parseFacts } from '../capture/facts.ts';
import type { Lists } from '../capture/lists.ts';
import { nulPairs } from '../nul-records.ts';
import { type CopyPlan, createCopyPlan } from './copy-plan.ts';
import { createGoneFiles } from './gone-files.ts';
import {
  createLargeCandidates,
  findLargeFiles,
  type LargeFileLook,
  type LargeFiles,
  NO_LARGE_FILES,
} from './large-files.ts';

interface Options extends Pick<CaptureOptions, 'parent' | 'deduplicate'> {
  lists: Lists;
  /** The server's time right before the scan, in seconds. */
  clock: number;
  look(): Promise<LargeFileLook | null>;
}

interface Found {
  /** Every path of the scan, to be read or kept. */
  records: AsyncIterable<[Buffer, Buffer][]>;
  dirty: DirtySet | null;
  large: LargeFiles;
  copies: CopyPlan;
}

/** Holds the scan against the earlier backup, and finds what need not be read, or not be stored, though it is new. */
export async function findCopies({ parent, deduplicate, lists, clock, look }: Options): Promise<Found> {
  const gone = createGoneFiles();
  const candidates = createLargeCandidates();
  const { sorter, draft } = lists;
  let dirty: DirtySet | null = null;
  if (parent !== null) {
    dirty = await compare(sorter.sorted(), parent, { draft, gone, onNew: candidates.see });
  } else if (deduplicate === 'all') {
    for await (const batch of sorter.sorted()) {
      for (const { path, facts } of batch) candidates.see(path, parseFacts(facts));
    }
  }
  const asked = candidates.files.length > 0 ? await look() : null;
  const large = asked
    ? await findLargeFiles(candidates.files, { gone, clock, look: asked, deduplicate: deduplicate === 'all' })
    : NO_LARGE_FILES;
  return {
    records: parent === null ? readAll(sorter.sorted()) : nulPairs(await draft.read()),
    ...{ dirty, large },
    copies: createCopyPlan({ deduplicate: deduplicate !== 'none', gone, large }),
  };
}
