import type { Readable } from 'node:stream';
import {
  type ArchiveRoot,
  assembleTar,
  createMemberReader,
  decodeRootList,
  type IndexEntry,
  type IndexHeader,
  thenClosed,
} from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import {
  type ArtifactPlace,
  keysOfArchives,
  openArchive,
  openArtifactIndex,
  storedObject,
} from './artifact-reader.ts';
import { openStored } from './stored-bytes.ts';

/** An artifact's tar stream, as often as it is asked for. */
export interface TarOpener {
  /** What is to be put back; null when only the archive itself says. */
  roots: ArchiveRoot[] | null;
  /** In the stream only because names to be put back are links to them. */
  extras: Buffer[];
  /** What is to be put back, without the extras. */
  needs: { bytes: number; files: number };
  /** Paths that the backup could not read; null: more than it could name. Backups of older versions name none. */
  unreadable: Buffer[] | null;
  open(): Promise<Readable>;
  /** All that the index lists; null when there is none. The caller reads it to its end or leaves it with `return`. */
  entries: (() => Promise<AsyncGenerator<IndexEntry>>) | null;
}

/**
 * How an artifact is read: by its index, only what is wanted (`paths`, null for everything); archives of older
 * backups, which have none, from the beginning to the end. Every key that is needed is opened now:
 * ENCRYPTION_KEY_NOT_FOUND. Of a path that the artifact does not hold nothing is among its roots; of one above its
 * roots they are.
 */
export async function createTarOpener(
  place: ArtifactPlace,
  { dataKey, paths }: { dataKey: Buffer | null; paths: readonly string[] | null },
  signal: AbortSignal,
): Promise<TarOpener> {
  const { storage, artifact } = place;
  if (artifact.index === null) {
    if (paths !== null) {
      throw new AppError(
        'NOT_SUPPORTED',
        'The backup is of an older version, without an index: restore whole services from it.',
      );
    }
    const archive = storedObject(place, 'archive', dataKey);
    return {
      roots: null,
      extras: [],
      needs: { bytes: artifact.contentBytes, files: artifact.files },
      unreadable: [],
      open: () => openStored(storage, archive, signal, createMemberReader(signal)),
      entries: null,
    };
  }
  const selection = await select(place, { dataKey, paths }, signal);
  return {
    roots: selection.roots,
    extras: [...selection.extras.values()],
    needs: selection.needs,
    unreadable: selection.unreadable,
    open: () => openByIndex(place, { dataKey, wants: selection.wants }, signal),
    entries: async () => (await openArtifactIndex(place, dataKey, signal)).entries,
  };
}

interface Selection {
  roots: ArchiveRoot[];
  extras: Map<string, Buffer>;
  needs: TarOpener['needs'];
  unreadable: Buffer[] | null;
  wants(entry: IndexEntry): boolean;
}

/** Looks the paths up in the index, and the keys of every archive that it needs. */
async function select(
  place: ArtifactPlace,
  { dataKey, paths }: { dataKey: Buffer | null; paths: readonly string[] | null },
  signal: AbortSignal,
): Promise<Selection> {
  const index = await openArtifactIndex(place, dataKey, signal);
  try {
    const { archives } = index.header;
    const unreadable = unreadableOf(index.header);
    const needed = archives.filter((archive, number) => number === 0 || isNeeded(place, archive));
    await keysOfArchives(place, needed, signal);
    if (paths === null) {
      const { contentBytes: bytes = 0, files = 0 } = place.artifact.index ?? {};
      const roots = rootsOf(index.header.roots);
      return { roots, extras: new Map(), needs: { bytes, files }, unreadable, wants: () => true };
    }
    const wantedPaths = paths.map((path) => Buffer.from(path));
    const found = await lookUp(index.entries, wantedPaths, rootsOf(index.header.roots));
    const wanted = (path: Buffer): boolean =>
      found.roots.some((root) => isAtOrBelow(path, root.path)) || found.extras.has(path.toString('latin1'));
    return { ...found, unreadable, wants: (entry) => wanted(entry.path) };
  } finally {
    await index.entries.return(undefined);
  }
}

/** A wanted path that is above roots, and no entry itself, stands for all of those. */
async function lookUp(
  entries: AsyncIterable<IndexEntry>,
  paths: readonly Buffer[],
  whole: readonly ArchiveRoot[],
): Promise<Pick<Selection, 'roots' | 'extras' | 'needs'>> {
  const needs = { bytes: 0, files: 0 };
  const roots = new Map<string, ArchiveRoot>();
  const extras = new Map<string, Buffer>();
  const selected = (path: Buffer): boolean => paths.some((one) => isAtOrBelow(path, one));
  for await (const { path, type, size, linkTarget } of entries) {
    if (!selected(path)) continue;
    if (type === 'file' || type === 'hardlink') needs.files += 1;
    if (type === 'file') needs.bytes += size;
    if (paths.some((one) => one.equals(path)))
      roots.set(path.toString('latin1'), { path, type: rootType(type) });
    if (type !== 'hardlink' || linkTarget === null) continue;
    const target = Buffer.concat([Buffer.from('/'), linkTarget]);
    if (!selected(target)) extras.set(target.toString('latin1'), target);
  }
  for (const path of paths.filter((one) => !roots.has(one.toString('latin1')))) {
    for (const root of whole) {
      if (isAtOrBelow(root.path, path)) roots.set(root.path.toString('latin1'), root);
    }
  }
  return { roots: [...roots.values()], extras, needs };
}

async function openByIndex(
  place: ArtifactPlace,
  { dataKey, wants }: { dataKey: Buffer | null; wants: Selection['wants'] },
  signal: AbortSignal,
): Promise<Readable> {
  const index = await openArtifactIndex(place, dataKey, signal);
  const { archives } = index.header;
  async function* wanted(): AsyncGenerator<IndexEntry> {
    for await (const entry of index.entries) if (wants(entry)) yield entry;
  }
  const archiveAt = (number: number): (typeof archives)[number] => {
    const archive = archives[number];
    if (archive) return archive;
    throw new AppError('BACKUP_CORRUPTED', 'An index points into an archive that it does not name.');
  };
  return assembleTar({
    entries: thenClosed(wanted(), index.entries),
    signal,
    blockBytesOf: (number) => archiveAt(number).blockBytes,
    async openArchive(number) {
      const archive = archiveAt(number);
      const [key = null] = await keysOfArchives(place, [archive], signal);
      return openArchive(place, archive, { members: index.members[number] ?? [], dataKey: key }, signal);
    },
  });
}

function isNeeded({ artifact }: ArtifactPlace, archive: { backupId: string; artifactId: string }): boolean {
  return artifact.ancestors.some(
    ({ backupId, artifactId }) => backupId === archive.backupId && artifactId === archive.artifactId,
  );
}

function unreadableOf({ unreadable = [] }: IndexHeader): Buffer[] | null {
  return unreadable?.map((path) => Buffer.from(path, 'base64')) ?? null;
}

function rootsOf(list: string): ArchiveRoot[] {
  const roots = decodeRootList(Buffer.from(list));
  if (roots) return roots;
  throw new AppError('BACKUP_CORRUPTED', 'The index does not say what was backed up. Use another backup.');
}

function rootType(type: IndexEntry['type']): ArchiveRoot['type'] {
  return type === 'directory' || type === 'symlink' ? type : 'other';
}

const SLASH = 0x2f;

function isAtOrBelow(path: Buffer, folder: Buffer): boolean {
  if (folder.length === 1) return true;
  if (path.length === folder.length) return path.equals(folder);
  return path.length > folder.length && path[folder.length] === SLASH && path.indexOf(folder) === 0;
}
