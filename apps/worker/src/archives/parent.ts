import type { IndexArchive, IndexedEntry } from '@tarfleet/archive';
import type { ArtifactPlan, ParentArtifact } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { Keyring } from '@tarfleet/vault';
import { loadManifest } from '../jobs/load-manifest.ts';
import { keyOf, nameFrom } from './archive-names.ts';
import { keyOfArtifact, keysOfArchives, openArtifactIndex } from './artifact-reader.ts';

/** What a new archive is compared with. */
export interface OpenParent {
  ref: { backupId: string; artifactId: string };
  /** The archives of its index, as the new one's names them. */
  archives: IndexArchive[];
  members: readonly (readonly number[])[];
  /** Its archives numbered as in the new index, where the new archive is 0. */
  entries: AsyncGenerator<IndexedEntry[]>;
}

/**
 * Opens the plan's parent. ENCRYPTION_KEY_NOT_FOUND when a key of it or of its ancestors is missing;
 * BACKUP_CORRUPTED when it is damaged, gone, or not of the same paths.
 */
export async function openParent(
  deps: { storage: Storage; keyring: Keyring },
  plan: ArtifactPlan,
  parent: ParentArtifact,
  signal: AbortSignal,
): Promise<OpenParent> {
  const { keyPrefix, backupId, artifactId } = parent;
  const found = await loadManifest(
    deps.storage,
    { keyPrefix, backupId, sha256: parent.manifestSha256 },
    signal,
  );
  const artifact = found?.manifest.artifacts.find((one) => one.artifactId === artifactId);
  if (!artifact || !isOfSamePaths(artifact, plan)) {
    throw new AppError('BACKUP_CORRUPTED', `The backup ${backupId} is gone, or holds other paths.`);
  }
  const place = { ...deps, keyPrefix, backupId, artifact };
  const dataKey = await keyOfArtifact(place, signal);
  const index = await openArtifactIndex(place, dataKey, signal);
  try {
    // Archives that nothing points into any more may be gone.
    const used = index.header.archives.flatMap((archive, number) =>
      number === 0 || artifact.ancestors.some((one) => isSame(one, archive)) ? [number] : [],
    );
    const archives = used.flatMap((number) => index.header.archives[number] ?? []);
    await keysOfArchives(place, archives, signal);
    return {
      ref: { backupId, artifactId },
      archives: archives.map((one) => ({ ...one, name: nameFrom(plan.keyPrefix, keyOf(keyPrefix, one)) })),
      members: used.map((number) => index.members[number] ?? []),
      entries: index.renumbered(new Map(used.map((number, at) => [number, at + 1]))),
    };
  } catch (error) {
    await index.entries.return(undefined);
    throw error;
  }
}

function isSame(one: { artifactId: string; backupId: string }, other: typeof one): boolean {
  return one.artifactId === other.artifactId && one.backupId === other.backupId;
}

function isOfSamePaths(
  artifact: { roots: string[]; exclude: string[]; object: { name: string } },
  { service, encryption }: ArtifactPlan,
): boolean {
  return (
    JSON.stringify(artifact.roots) === JSON.stringify([...service.configPaths, ...service.dataPaths]) &&
    JSON.stringify(artifact.exclude) === JSON.stringify(service.exclude) &&
    artifact.object.name.endsWith('.enc') === (encryption !== null)
  );
}
