import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import {
  type EncodedRun,
  INDEX_VERSION,
  type IndexArchive,
  type IndexHeader,
  indexLines,
} from '@tarfleet/archive';
import type { ArtifactResult } from '@tarfleet/contracts';
import type { Storage } from '@tarfleet/storage';
import { encryptOrPass } from './encrypt.ts';
import type { OpenParent } from './parent.ts';

export interface IndexToWrite {
  key: string;
  ids: { backupId: string; artifactId: string };
  /** As the archive's own first header has them. */
  roots: string;
  /** Paths that could not be read; null: too many to name. */
  unreadable: readonly Buffer[] | null;
  own: IndexArchive;
  members: readonly number[];
  parent: OpenParent | null;
  runs: AsyncIterable<EncodedRun>;
  dataKey: Buffer | null;
}

export interface WrittenIndex {
  index: NonNullable<ArtifactResult['index']>;
  ancestors: ArtifactResult['ancestors'];
}

/** Stores an artifact's index: gzipped, then encrypted like its archive. */
export async function writeIndex(
  storage: Storage,
  { key, ids, roots, unreadable, own, members, parent, runs, dataKey }: IndexToWrite,
  { signal, beforeCommit }: { signal: AbortSignal; beforeCommit: () => Promise<void> },
): Promise<WrittenIndex> {
  const archives = [own, ...(parent?.archives ?? [])];
  const header: IndexHeader = {
    ...{ format: 'tarfleet-index', version: INDEX_VERSION, ...ids, roots },
    ...(unreadable?.length === 0
      ? {}
      : { unreadable: unreadable?.map((path) => path.toString('base64')) ?? null }),
    archives,
  };
  const counts = { entries: 0, files: 0, contentBytes: 0 };
  const used = new Set<number>();
  async function* counted(): AsyncGenerator<EncodedRun> {
    for await (const run of runs) {
      counts.entries += run.entries;
      counts.files += run.files;
      counts.contentBytes += run.contentBytes;
      for (const number of run.archives) if (number > 0) used.add(number);
      yield run;
    }
  }
  const lines = indexLines({ header, members: [members, ...(parent?.members ?? [])], runs: counted() });
  const body = encryptOrPass({ dataKey, ids, role: 'index' }, signal);
  const storing = storage.put(key, body, { signal, beforeCommit });
  const feeding = pipeline(
    Readable.from(lines, { objectMode: false }),
    createGzip({ chunkSize: 64 * 1024 }),
    body,
    { signal },
  );
  const [fed, stored] = await Promise.allSettled([feeding, storing]);
  if (stored.status === 'rejected') throw fed.status === 'rejected' ? fed.reason : stored.reason;
  if (fed.status === 'rejected') throw fed.reason;
  return {
    index: { key, sha256: stored.value.sha256, storedBytes: stored.value.bytes, ...counts },
    ancestors: archives.flatMap(({ backupId, artifactId }, number) =>
      used.has(number) ? [{ backupId, artifactId }] : [],
    ),
  };
}
