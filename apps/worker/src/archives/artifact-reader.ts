import {
  type ArchiveReader,
  type Codec,
  createRangeDecrypter,
  encryptedSize,
  type IndexArchive,
  type Manifest,
  type OpenIndex,
  openIndex,
} from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { type Keyring, openDataKey } from '@tarfleet/vault';
import { keyOf } from './archive-names.ts';
import { aadOf, openStored, readPart, type StoredObject } from './stored-bytes.ts';

export type ManifestArtifact = Manifest['artifacts'][number];

/** Where an artifact lies, and what opens it. */
export interface ArtifactPlace {
  storage: Storage;
  keyring: Keyring;
  /** Who decompresses; zlib when it is not given. */
  codec?: Codec;
  keyPrefix: string;
  backupId: string;
  artifact: ManifestArtifact;
}

/** The artifact's own key; null when it is not encrypted. ENCRYPTION_KEY_NOT_FOUND. */
export async function keyOfArtifact(place: ArtifactPlace, signal: AbortSignal): Promise<Buffer | null> {
  const { storage, keyring, keyPrefix, backupId, artifact } = place;
  if (!artifact.object.name.endsWith('.enc')) return null;
  const ids = { backupId, artifactId: artifact.artifactId };
  return openDataKey(storage, keyring, { archiveKey: `${keyPrefix}/${artifact.object.name}`, ids }, signal);
}

/** The artifact's archive or index as the manifest has it. */
export function storedObject(
  { keyPrefix, backupId, artifact }: ArtifactPlace,
  role: StoredObject['role'],
  dataKey: Buffer | null,
): StoredObject {
  const { name, bytes, sha256 } = role === 'archive' ? artifact.object : indexOf(artifact);
  const ids = { backupId, artifactId: artifact.artifactId };
  return { key: `${keyPrefix}/${name}`, role, ids, bytes, sha256, dataKey };
}

/** The artifact's index. The caller reads its entries to their end, or leaves them with `return`. */
export async function openArtifactIndex(
  place: ArtifactPlace,
  dataKey: Buffer | null,
  signal: AbortSignal,
): Promise<OpenIndex> {
  const index = await openIndex(
    await openStored(place.storage, storedObject(place, 'index', dataKey), signal),
  );
  const { backupId, artifactId } = index.header;
  if (backupId === place.backupId && artifactId === place.artifact.artifactId) return index;
  await index.entries.return(undefined);
  throw new AppError(
    'BACKUP_CORRUPTED',
    `The index of ${place.artifact.service.name} belongs to another backup.`,
  );
}

/** The keys of the archives that an index names, by their number. ENCRYPTION_KEY_NOT_FOUND, an ancestor's included. */
export async function keysOfArchives(
  { storage, keyring, keyPrefix }: Pick<ArtifactPlace, 'storage' | 'keyring' | 'keyPrefix'>,
  archives: readonly IndexArchive[],
  signal: AbortSignal,
): Promise<(Buffer | null)[]> {
  const keys: (Buffer | null)[] = [];
  for (const archive of archives) {
    const { backupId, artifactId, name } = archive;
    const place = { archiveKey: keyOf(keyPrefix, archive), ids: { backupId, artifactId } };
    keys.push(name.endsWith('.enc') ? await openDataKey(storage, keyring, place, signal) : null);
  }
  return keys;
}

interface OpenArchiveOptions {
  members: readonly number[];
  dataKey: Buffer | null;
  /** Its stored bytes, where they are not just to be fetched. */
  readStored?: ArchiveReader['read'];
}

/** One archive of an index, to be read from anywhere. BACKUP_CORRUPTED when it is not as long as it was. */
export async function openArchive(
  { storage, keyPrefix, codec }: Pick<ArtifactPlace, 'storage' | 'keyPrefix' | 'codec'>,
  archive: IndexArchive,
  { members, dataKey, readStored }: OpenArchiveOptions,
  signal: AbortSignal,
): Promise<ArchiveReader> {
  const key = keyOf(keyPrefix, archive);
  const found = await storage.stat(key, signal);
  const stored = dataKey ? encryptedSize(archive.bytes) : archive.bytes;
  if (found?.bytes !== stored) {
    const what = found ? `has ${found.bytes} bytes where ${stored} were stored` : 'is gone';
    throw new AppError('BACKUP_CORRUPTED', `The archive ${key} ${what}. Use another backup.`);
  }
  const facts = {
    name: key,
    ...(codec ? { codec } : {}),
    members,
    blockBytes: archive.blockBytes,
    bytes: archive.bytes,
  };
  const read: ArchiveReader['read'] =
    readStored ?? ((start, length, asked) => readPart(storage, key, { start, length }, asked));
  if (dataKey === null) return { ...facts, read };
  const { backupId, artifactId } = archive;
  const associatedData = aadOf({ ids: { backupId, artifactId }, role: 'archive' });
  const plain = createRangeDecrypter({ key: dataKey, associatedData, size: stored, read });
  return { ...facts, read: plain.read };
}

function indexOf({ index, service }: ManifestArtifact): NonNullable<ManifestArtifact['index']> {
  if (index) return index;
  throw new AppError(
    'NOT_SUPPORTED',
    `The backup is of an older version, without an index of ${service.name}.`,
  );
}
