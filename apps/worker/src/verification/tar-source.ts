import type { Readable } from 'node:stream';
import { assembleTar, createMemberReader, type IndexEntry, thenClosed } from '@tarfleet/archive';
import { type ArtifactPlace, openArtifactIndex, storedObject } from '../archives/artifact-reader.ts';
import { openStored } from '../archives/stored-bytes.ts';
import { openArchiveSet } from './archive-set.ts';
import type { ExpectedEntry } from './compare-extracted.ts';
import { entriesOfTar } from './expected-entries.ts';

/** A service's entries, and the tar stream that has them, each as often as it is asked for. */
export interface TarSource {
  entries(): Promise<AsyncGenerator<ExpectedEntry>>;
  /** All of them; or only those whose paths, as latin1, are among these. */
  tar(paths?: ReadonlySet<string>): Promise<Readable>;
}

/** By the index, or, where there is none, by the archive itself. `wants` leaves entries out of what has an index. */
export async function openTarSource(
  place: ArtifactPlace,
  { dataKey, wants }: { dataKey: Buffer | null; wants(entry: IndexEntry): boolean },
  signal: AbortSignal,
): Promise<TarSource> {
  if (place.artifact.index === null) {
    const archive = storedObject(place, 'archive', dataKey);
    const tar = (): Promise<Readable> =>
      openStored(place.storage, archive, signal, createMemberReader(signal));
    return { tar, entries: async () => entriesOfTar(await tar()) };
  }
  const open = async (wanted: (entry: IndexEntry) => boolean) => {
    const index = await openArtifactIndex(place, dataKey, signal);
    async function* selected(): AsyncGenerator<IndexEntry> {
      for await (const entry of index.entries) if (wanted(entry)) yield entry;
    }
    return { index, entries: thenClosed(selected(), index.entries) };
  };
  return {
    entries: async () => (await open(wants)).entries,
    async tar(paths) {
      const { index, entries } = await open(
        paths ? (entry) => paths.has(entry.path.toString('latin1')) : wants,
      );
      try {
        const set = await openArchiveSet(place, index, signal);
        return assembleTar({ entries, openArchive: set.open, blockBytesOf: set.blockBytesOf, signal });
      } catch (error) {
        await entries.return(undefined);
        throw error;
      }
    },
  };
}
