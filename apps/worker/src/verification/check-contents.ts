import { assembleTar, type IndexEntry, linkOfCopy, type OpenIndex } from '@tarfleet/archive';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';
import type { ArchiveSet } from './archive-set.ts';
import { type Finding, fail, isDamage, mark, pass } from './finding.ts';
import type { Verification } from './verification.ts';

/** What is read at a time: so much of tar, and so many entries in memory. */
const BATCH_BYTES = 256 * 1024 * 1024;
const BATCH_ENTRIES = 8192;
/** Past so many entries that are not right, the rest of the service is not read. */
const DAMAGED_MAX = 100;

/**
 * Reads every entry of an index from whichever archive holds it and compares it with the index; of a copy also the hard
 * link that stands for it in the archive. Where a batch is
 * not right it is halved until the entries at fault are known by name. What is wrong with the index itself is thrown.
 * True when the index was read to its end.
 */
export async function checkContents(
  v: Verification,
  artifact: ManifestArtifact,
  { entries }: OpenIndex,
  set: ArchiveSet,
  finding: Finding,
): Promise<boolean> {
  const { service } = finding;
  const counts = { entries: 0, files: 0, contentBytes: 0 };
  Object.assign(service, { filesVerified: 0, missingFiles: 0, corruptedFiles: 0 });
  const reasons = new Set<string>();
  async function* present(): AsyncGenerator<IndexEntry> {
    for await (const entry of entries) {
      counts.entries += 1;
      if (isFile(entry)) counts.files += 1;
      if (entry.type === 'file') counts.contentBytes += entry.size;
      const reason = set.isMissing(entry);
      if (reason === null) yield entry;
      else {
        service.missingFiles = (service.missingFiles ?? 0) + 1;
        reasons.add(reason);
      }
    }
  }
  const check = createBatchCheck(v, set, finding);
  try {
    for await (const batch of inBatches(present())) if (!(await check(batch))) return false;
  } finally {
    for (const reason of reasons)
      fail(finding, 'contents', `${reason} ${service.missingFiles ?? 0} entries are missing.`);
  }
  pass(finding, 'contents');
  compareCounts(artifact, counts, finding);
  return true;
}

function createBatchCheck(v: Verification, set: ArchiveSet, finding: Finding) {
  const { service } = finding;
  const read = async (batch: readonly IndexEntry[]): Promise<void> => {
    const tar = assembleTar({
      entries: each(batch),
      openArchive: set.open,
      blockBytesOf: set.blockBytesOf,
      signal: v.signal,
    });
    const current = batch[0]?.path.toString() ?? '';
    for await (const chunk of tar as AsyncIterable<Buffer>) v.tally.read(chunk.length, current);
  };
  /** False when nothing more is to be read. */
  return async function check(batch: readonly IndexEntry[]): Promise<boolean> {
    try {
      await read(batch);
    } catch (error) {
      v.signal.throwIfAborted();
      if (!isDamage(error)) throw error;
      if (batch.length > 1) {
        const middle = batch.length >> 1;
        return (await check(batch.slice(0, middle))) && check(batch.slice(middle));
      }
      service.corruptedFiles = (service.corruptedFiles ?? 0) + 1;
      mark(finding, set.kindOf(error));
      fail(finding, 'contents', `${batch[0]?.path.toString() ?? ''}: ${error.message}`);
      if (service.corruptedFiles < DAMAGED_MAX) return true;
      fail(finding, 'contents', `${DAMAGED_MAX} entries are damaged: the rest was not read.`);
      return false;
    }
    pass(finding, 'compression');
    const files = batch.filter(isFile).length;
    service.filesVerified = (service.filesVerified ?? 0) + files;
    v.tally.done(files);
    return true;
  };
}

/** The index is complete, and the manifest's own words of it are right. */
function compareCounts(
  { index }: ManifestArtifact,
  counts: { entries: number; files: number; contentBytes: number },
  finding: Finding,
): void {
  pass(finding, 'metadata');
  for (const [name, found] of Object.entries(counts)) {
    const wanted = index?.[name as keyof typeof counts];
    if (found !== wanted)
      fail(finding, 'metadata', `The index has ${found} as its ${name}, the manifest ${wanted}.`);
  }
}

async function* inBatches(entries: AsyncIterable<IndexEntry>): AsyncGenerator<IndexEntry[]> {
  let batch: IndexEntry[] = [];
  let bytes = 0;
  for await (const entry of entries) {
    if (batch.length > 0 && (batch.length >= BATCH_ENTRIES || bytes + entry.at.bytes > BATCH_BYTES)) {
      yield batch;
      batch = [];
      bytes = 0;
    }
    batch.push(entry);
    bytes += entry.at.bytes;
  }
  if (batch.length > 0) yield batch;
}

async function* each(entries: readonly IndexEntry[]): AsyncGenerator<IndexEntry> {
  for (const entry of entries) {
    const link = linkOfCopy(entry);
    if (link) yield link;
    yield entry;
  }
}

function isFile({ type }: IndexEntry): boolean {
  return type === 'file' || type === 'hardlink';
}
