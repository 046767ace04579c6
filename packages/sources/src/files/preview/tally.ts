import type { IndexEntry } from '@tarfleet/archive';
import { PREVIEW_EXAMPLES, type PreviewChanges, type PreviewGroup } from '@tarfleet/contracts';
import type { Facts } from '../capture/facts.ts';
import { show } from '../paths.ts';

/** One path, as it counts. */
export interface Counted {
  path: Buffer;
  isFile: boolean;
  /** Zero for what is no file. */
  bytes: number;
}

export function countedOnServer(path: Buffer, facts: Facts): Counted {
  const isFile = facts.type === 'f';
  return { path, isFile, bytes: isFile ? facts.size : 0 };
}

/** A further name of a content counts as a file without bytes, as the content comes once. */
export function countedOfBackup(path: Buffer, { type, size }: IndexEntry): Counted {
  return { path, isFile: type === 'file' || type === 'hardlink', bytes: type === 'file' ? size : 0 };
}

export function emptyChanges(): PreviewChanges {
  const group = (): PreviewGroup => ({ entries: 0, files: 0, bytes: 0, examples: [] });
  return {
    created: group(),
    overwritten: group(),
    unchanged: group(),
    deleted: group(),
    kept: group(),
  };
}

export function count(group: PreviewGroup, { path, isFile, bytes }: Counted): void {
  group.entries += 1;
  if (isFile) group.files += 1;
  group.bytes += bytes;
  if (group.examples.length < PREVIEW_EXAMPLES) group.examples.push(show(path));
}
