import type { IndexArchive } from '@tarfleet/archive';
import { keyOf } from '../archives/archive-names.ts';
import type { ArtifactPlace } from '../archives/artifact-reader.ts';
import type { ExpectedObject } from '../jobs/check-object.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import { noteCheck } from './check-stored.ts';
import { type Finding, fail, isDamage } from './finding.ts';
import type { StoredPass, StoredPasses } from './stored-pass.ts';
import type { Verification } from './verification.ts';

/** An archive of another backup that a service's index points into, and the pass that is made over it. */
export interface Ancestor {
  archive: IndexArchive;
  pass: StoredPass;
}

/**
 * Looks these archives up, each in its own backup's manifest, and begins a pass over each that is there. Of these
 * backups nothing else is looked at: a service needs of them these archives and nothing more.
 */
export async function findAncestors(
  v: Verification,
  place: ArtifactPlace,
  { archives, passes }: { archives: readonly IndexArchive[]; passes: StoredPasses },
  finding: Finding,
): Promise<Ancestor[]> {
  const found: Ancestor[] = [];
  for (const archive of archives) {
    const expected = await findOne(v, place, archive, finding).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      fail(finding, 'checksum', `${ofWhom(archive)}: ${error.message}`);
      return null;
    });
    if (expected === null) noteDamaged(finding, archive);
    else found.push({ archive, pass: passes.begin(expected) });
  }
  return found;
}

/** Reads the rest of each, and notes what it is. */
export async function finishAncestors(
  { signal }: Verification,
  { artifact }: ArtifactPlace,
  ancestors: readonly Ancestor[],
  finding: Finding,
): Promise<void> {
  for (const { archive, pass } of ancestors) {
    const owner = { artifactId: archive.artifactId, service: artifact.service };
    const check = await pass.finish(signal);
    noteCheck(finding, owner, { object: pass.expected, check, ofWhom: `${ofWhom(archive)}: ` });
    if (check.status !== 'passed') noteDamaged(finding, archive);
  }
}

async function findOne(
  { plan, storage, keyring, signal }: Verification,
  place: ArtifactPlace,
  archive: IndexArchive,
  finding: Finding,
): Promise<ExpectedObject | null> {
  const { backupId, artifactId } = archive;
  const key = keyOf(place.keyPrefix, archive);
  const keyPrefix = key.slice(0, key.indexOf(`/${backupId}/${artifactId}/`) + 1 + backupId.length);
  const sha256 = plan.ancestors.find((one) => one.backupId === backupId)?.manifestSha256 ?? null;
  const found = await loadManifest(storage, { keyPrefix, backupId, sha256 }, signal);
  const artifact = found?.manifest.artifacts.find((one) => one.artifactId === artifactId);
  if (!found || !artifact || `${keyPrefix}/${artifact.object.name}` !== key) {
    const what = found ? `its manifest does not name the archive ${key}` : 'its manifest is gone';
    fail(finding, 'checksum', `${ofWhom(archive)}: ${what}.`);
    return null;
  }
  await checkManifestMac(keyring, storage, keyPrefix, found.manifest, signal);
  return { key, bytes: artifact.object.bytes, sha256: artifact.object.sha256 };
}

function noteDamaged({ damagedAncestors }: Finding, { backupId }: IndexArchive): void {
  if (!damagedAncestors.includes(backupId)) damagedAncestors.push(backupId);
}

function ofWhom({ backupId }: IndexArchive): string {
  return `The backup ${backupId}, which this one builds on`;
}
