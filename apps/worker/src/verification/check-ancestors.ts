import type { IndexArchive } from '@tarfleet/archive';
import { keyOf } from '../archives/archive-names.ts';
import type { ArtifactPlace } from '../archives/artifact-reader.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import { checkOne } from './check-stored.ts';
import { type Finding, fail, isDamage } from './finding.ts';
import type { Verification } from './verification.ts';

/**
 * The archives of other backups that a service's index points into, each whole, against its own backup's manifest.
 * Of these backups nothing else is looked at: a service needs of them these archives and nothing more.
 */
export async function checkAncestors(
  v: Verification,
  place: ArtifactPlace,
  archives: readonly IndexArchive[],
  finding: Finding,
): Promise<void> {
  for (const archive of archives) {
    const { backupId } = archive;
    const sound = await checkAncestor(v, place, archive, finding).catch((error: unknown) => {
      if (!isDamage(error)) throw error;
      fail(finding, 'checksum', `${ofWhom(backupId)}: ${error.message}`);
      return false;
    });
    if (!sound && !finding.damagedAncestors.includes(backupId)) finding.damagedAncestors.push(backupId);
  }
}

async function checkAncestor(
  v: Verification,
  place: ArtifactPlace,
  archive: IndexArchive,
  finding: Finding,
): Promise<boolean> {
  const { plan, storage, keyring, signal } = v;
  const { backupId, artifactId } = archive;
  const key = keyOf(place.keyPrefix, archive);
  const keyPrefix = key.slice(0, key.indexOf(`/${backupId}/${artifactId}/`) + 1 + backupId.length);
  const sha256 = plan.ancestors.find((one) => one.backupId === backupId)?.manifestSha256 ?? null;
  const found = await loadManifest(storage, { keyPrefix, backupId, sha256 }, signal);
  const artifact = found?.manifest.artifacts.find((one) => one.artifactId === artifactId);
  if (!found || !artifact || `${keyPrefix}/${artifact.object.name}` !== key) {
    const what = found ? `its manifest does not name the archive ${key}` : 'its manifest is gone';
    fail(finding, 'checksum', `${ofWhom(backupId)}: ${what}.`);
    return false;
  }
  await checkManifestMac(keyring, storage, keyPrefix, found.manifest, signal);
  const owner = { artifactId, service: place.artifact.service };
  return checkOne(v, artifact.object, owner, finding, { keyPrefix, ofWhom: `${ofWhom(backupId)}: ` });
}

function ofWhom(backupId: string): string {
  return `The backup ${backupId}, which this one builds on`;
}
