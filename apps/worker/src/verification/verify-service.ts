import type { OpenIndex } from '@tarfleet/archive';
import {
  type ArtifactPlace,
  keyOfArtifact,
  type ManifestArtifact,
  openArtifactIndex,
} from '../archives/artifact-reader.ts';
import { openArchiveSet } from './archive-set.ts';
import { type Ancestor, findAncestors, finishAncestors } from './check-ancestors.ts';
import { checkContents } from './check-contents.ts';
import { checkKeyObject, checkOwn, noteCheck, noteRead } from './check-stored.ts';
import { checkWhole } from './check-whole.ts';
import { createFinding, type Finding, foundFirst, isDamage, noting } from './finding.ts';
import { createStoredPasses, type StoredPasses } from './stored-pass.ts';
import { testRestore } from './test-restore.ts';
import { placeOf, type Verification } from './verification.ts';

/** All that the plan's level looks at in one service. What is not sound is in what it gives; what is thrown says nothing of the backup. */
export async function verifyService(v: Verification, artifact: ManifestArtifact): Promise<Finding> {
  const { level, keyPrefix } = v.plan;
  const { object, index } = artifact;
  const finding = createFinding(artifact);
  if (level === 'quick') {
    for (const one of [object, ...(index ? [index] : [])]) await checkOwn(v, artifact, one, finding);
    await checkKeyObject(v, artifact, finding);
    return finding;
  }
  const place = placeOf(v, artifact);
  const passes = createStoredPasses(v.storage, (bytes, key) => v.tally.read(bytes, key));
  const own = passes.begin({ ...object, key: `${keyPrefix}/${object.name}` });
  const ancestors: Ancestor[] = [];
  const dataKey = await noting(finding, 'encryption', () => keyOfArtifact(place, v.signal));
  let indexRead = false;
  if (dataKey !== undefined) {
    if (index === null) await checkWhole(v, artifact, own, finding);
    else indexRead = await checkByIndex(v, place, { dataKey, passes, ancestors }, finding);
  }
  // Whatever of the archives was not read until now is read here: then it is known what all of their bytes are.
  await foundFirst(finding, async () => {
    noteCheck(finding, artifact, { object: own.expected, check: await own.finish(v.signal) });
    if (index !== null && indexRead) noteRead(v, artifact, index, finding);
    else if (index !== null) await checkOwn(v, artifact, index, finding);
    await checkKeyObject(v, artifact, finding);
    await finishAncestors(v, place, ancestors, finding);
  });
  // What cannot be read right cannot be put back right: nothing would be learnt from trying.
  if (level === 'test_restore' && dataKey !== undefined && finding.service.issues.length === 0) {
    await testRestore(v, place, dataKey, finding);
  }
  return finding;
}

/** True when all of the index was read, and its bytes are those that were stored. */
async function checkByIndex(
  v: Verification,
  place: ArtifactPlace,
  what: { dataKey: Buffer | null; passes: StoredPasses; ancestors: Ancestor[] },
  finding: Finding,
): Promise<boolean> {
  const { dataKey, passes, ancestors } = what;
  const isRead = await noting(finding, 'metadata', async () => {
    const set = await openArchiveSet(place, await readHead(place, dataKey, v.signal), v.signal, passes);
    const archives = set.archives.slice(1).flatMap((archive) => archive ?? []);
    ancestors.push(...(await findAncestors(v, place, { archives, passes }, finding)));
    const index = await openArtifactIndex(place, dataKey, v.signal);
    try {
      return await checkContents(v, place.artifact, index, set, finding);
    } finally {
      await index.entries.return(undefined);
    }
  });
  return isRead === true;
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
