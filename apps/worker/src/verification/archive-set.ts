import {
  type ArchiveReader,
  type IndexArchive,
  type IndexEntry,
  InflateError,
  type OpenIndex,
} from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import { keyOf } from '../archives/archive-names.ts';
import { type ArtifactPlace, keysOfArchives, openArchive } from '../archives/artifact-reader.ts';
import { readPart } from '../archives/stored-bytes.ts';
import { type CheckName, isDamage } from './finding.ts';
import { createTurn } from './in-turn.ts';
import type { StoredPasses } from './stored-pass.ts';

/** The archives of one index, each opened once. */
export interface ArchiveSet {
  /** By their number; null for one that the manifest does not name. */
  archives: readonly (IndexArchive | null)[];
  open(number: number): Promise<ArchiveReader>;
  blockBytesOf(number: number): number;
  /** Whether this entry lies where nothing can be read, and why. */
  isMissing(entry: IndexEntry): string | null;
  /** Which check an error of reading belongs to. */
  kindOf(error: unknown): CheckName;
}

/**
 * Keys are opened now, and sizes looked at: ENCRYPTION_KEY_NOT_FOUND. What else is wrong with an archive is for
 * `isMissing`. Objects of which there is a pass when they are read, are read by it.
 */
export async function openArchiveSet(
  place: ArtifactPlace,
  { header, members }: Pick<OpenIndex, 'header' | 'members'>,
  signal: AbortSignal,
  passes?: StoredPasses,
): Promise<ArchiveSet> {
  const archives = usedArchives(place, header.archives);
  const undecrypted = new WeakSet<Error>();
  const missing = new Map<number, string>();
  const open = async (number: number): Promise<ArchiveReader> => {
    const archive = archives[number];
    if (!archive)
      throw new AppError('BACKUP_CORRUPTED', `The manifest does not name the index's archive ${number}.`);
    const [dataKey = null] = await keysOfArchives(place, [archive], signal);
    const key = keyOf(place.keyPrefix, archive);
    const readStored: ArchiveReader['read'] = (start, length, asked) =>
      passes?.of(key)?.read(start, length, asked) ?? readPart(place.storage, key, { start, length }, asked);
    const how = { members: members[number] ?? [], dataKey, readStored };
    const reader = await openArchive(place, archive, how, signal);
    if (dataKey === null) return reader;
    // Each read is of several parts: begun side by side, those of a later one would come between.
    const inTurn = createTurn();
    const read: ArchiveReader['read'] = (...asked) =>
      inTurn(() => reader.read(...asked)).catch((error: unknown) => {
        if (isDamage(error)) undecrypted.add(error);
        throw error;
      });
    return { ...reader, read };
  };
  const opened = archives.map((_archive, number) => open(number));
  for (const [number, one] of (await Promise.allSettled(opened)).entries()) {
    if (one.status === 'fulfilled') continue;
    if (!isDamage(one.reason)) throw one.reason;
    missing.set(number, one.reason.message);
  }
  return {
    archives,
    open: (number) => opened[number] ?? Promise.reject(new TypeError(`no archive ${number}`)),
    blockBytesOf: (number) => archives[number]?.blockBytes ?? 512,
    isMissing: ({ at }) => missing.get(at.archive) ?? null,
    kindOf(error) {
      if (error instanceof Error && undecrypted.has(error)) return 'encryption';
      return error instanceof Error && error.cause instanceof InflateError ? 'compression' : 'contents';
    },
  };
}

/** The artifact's own archive and its ancestors'; others that the index still lists may be gone. */
export function usedArchives(
  { artifact }: Pick<ArtifactPlace, 'artifact'>,
  archives: readonly IndexArchive[],
): (IndexArchive | null)[] {
  return archives.map((archive, number) =>
    number === 0 ||
    artifact.ancestors.some(
      ({ backupId, artifactId }) => backupId === archive.backupId && artifactId === archive.artifactId,
    )
      ? archive
      : null,
  );
}
