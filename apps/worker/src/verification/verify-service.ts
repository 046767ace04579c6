import type { OpenIndex } from '@tarfleet/archive';
import {
  type ArtifactPlace,
  keyOfArtifact,
  type ManifestArtifact,
  openArtifactIndex,
} from '../archives/artifact-reader.ts';
import { openArchiveSet } from './archive-set.ts';
import { checkAncestors } from './check-ancestors.ts';
import { checkContents } from './check-contents.ts';
import { checkStored } from './check-stored.ts';
import { checkWhole } from './check-whole.ts';
import { createFinding, type Finding, isDamage, noting } from './finding.ts';
import { testRestore } from './test-restore.ts';
import { placeOf, type Verification } from './verification.ts';

/** All that the plan's level looks at in one service. What is not sound is in what it gives; what is thrown says nothing of the backup. */
export async function verifyService(v: Verification, artifact: ManifestArtifact): Promise<Finding> {
  const { level } = v.plan;
  const finding = createFinding(artifact);
  await checkStored(v, artifact, finding);
  if (level === 'quick') return finding;
  const place = placeOf(v, artifact);
  const dataKey = await noting(finding, 'encryption', () => keyOfArtifact(place, v.signal));
  if (dataKey === undefined) return finding;
  if (artifact.index === null) await checkWhole(v, place, finding);
  else await checkByIndex(v, place, dataKey, finding);
  // What cannot be read right cannot be put back right: nothing would be learnt from trying.
  if (level === 'test_restore' && finding.service.issues.length === 0) {
    await testRestore(v, place, dataKey, finding);
  }
  return finding;
}

async function checkByIndex(
  v: Verification,
  place: ArtifactPlace,
  dataKey: Buffer | null,
  finding: Finding,
): Promise<void> {
  await noting(finding, 'metadata', async () => {
    const set = await openArchiveSet(place, await readHead(place, dataKey, v.signal), v.signal);
    const ancestors = set.archives.slice(1).flatMap((archive) => archive ?? []);
    await checkAncestors(v, place, ancestors, finding);
    const index = await openArtifactIndex(place, dataKey, v.signal);
    try {
      await checkContents(v, place.artifact, index, set, finding);
    } finally {
      await index.entries.return(undefined);
    }
  });
}

/** What an index says before its entries; its stream does not stay open while other things are read. */
async function readHead(
  place: ArtifactPlace,
  dataKey: Buffer | null,
  signal: AbortSignal,
): Promise<Pick<OpenIndex, 'header' | 'members'>> {
  const index = await openArtifactIndex(place, dataKey, signal);
  await index.entries.return(undefined);
  return index;
}

/**
 * Opens all keys that these services need, their ancestors' included: ENCRYPTION_KEY_NOT_FOUND before anything else
 * is read. Gives how many bytes of ancestors' archives there will be to read.
 */
export async function openAllKeys(v: Verification, artifacts: readonly ManifestArtifact[]): Promise<number> {
  let bytes = 0;
  for (const artifact of artifacts) {
    const place = placeOf(v, artifact);
    try {
      const dataKey = await keyOfArtifact(place, v.signal);
      if (artifact.index === null) continue;
      const head = await readHead(place, dataKey, v.signal);
      const { archives } = await openArchiveSet(place, head, v.signal);
      bytes += archives.slice(1).reduce((sum, archive) => sum + (archive?.bytes ?? 0), 0);
    } catch (error) {
      // It is found again, and told, when its turn comes.
      if (!isDamage(error)) throw error;
    }
  }
  return bytes;
}
