import { xattrsOf } from '../tar-entry.ts';
import { createTarParser } from '../tar-parser.ts';
import type { TarEntry } from '../types.ts';

export interface FirstEntry {
  entry: TarEntry;
  /** As `EntryEnd` has it. */
  xattrs: string;
  sparse: boolean;
}

/** What the headers of a tar stream's first entry say, as soon as they are there; null when it has none. ARCHIVE_MALFORMED. */
export async function firstEntry(tar: AsyncIterable<Buffer>): Promise<FirstEntry | null> {
  let found: FirstEntry | null = null;
  const parser = createTarParser({
    onEntry(entry, head) {
      found ??= { entry, xattrs: xattrsOf(head), sparse: head.sparse };
    },
  });
  for await (const chunk of tar) {
    parser.take(chunk);
    if (found) break;
  }
  return found;
}
