import { archiveOfKeyObject } from '@tarfleet/vault';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';
import { checkObject } from '../jobs/check-object.ts';
import { type Finding, fail, pass } from './finding.ts';
import type { Verification } from './verification.ts';

/** A service's own stored objects, without any key: archive and index against the manifest, and whether the key is there. */
export async function checkStored(
  v: Verification,
  artifact: ManifestArtifact,
  finding: Finding,
): Promise<void> {
  const { object, index } = artifact;
  for (const one of [object, ...(index ? [index] : [])]) await checkOne(v, one, artifact, finding);
  if (!object.name.endsWith('.enc')) return;
  const archiveKey = `${v.plan.keyPrefix}/${object.name}`;
  if (await hasKeyObject(v, archiveKey)) pass(finding, 'encryption');
  else fail(finding, 'encryption', `The key of ${archiveKey} is gone from the destination.`);
}

/** One object against what a manifest says of it; `ofWhom` begins the sentence that tells of a fault. */
export async function checkOne(
  { plan, storage, signal, tally }: Verification,
  object: { name: string; bytes: number; sha256: string },
  { artifactId, service }: Pick<ManifestArtifact, 'artifactId' | 'service'>,
  finding: Finding,
  { keyPrefix = plan.keyPrefix, ofWhom = '' } = {},
): Promise<boolean> {
  const { bytes, sha256 } = object;
  const key = `${keyPrefix}/${object.name}`;
  const check = await checkObject(storage, { key, bytes, sha256 }, signal, (read) => tally.read(read, key));
  const { id: serviceId, component } = service;
  finding.objects.push({ artifactId, serviceId, component, key, bytes, ...check });
  if (check.status === 'passed') pass(finding, 'checksum');
  else fail(finding, 'checksum', ofWhom + check.message);
  return check.status === 'passed';
}

async function hasKeyObject({ storage, signal }: Verification, archiveKey: string): Promise<boolean> {
  const folder = archiveKey.slice(0, archiveKey.lastIndexOf('/'));
  for await (const { key } of storage.list(folder, signal)) {
    if (archiveOfKeyObject(key) === archiveKey) return true;
  }
  return false;
}
