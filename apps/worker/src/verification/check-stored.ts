import { archiveOfKeyObject } from '@tarfleet/vault';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';
import { checkObject, type ExpectedObject, judgeBytes, type ObjectCheck } from '../jobs/check-object.ts';
import { type Finding, fail, pass } from './finding.ts';
import type { Verification } from './verification.ts';

/** One of a service's own objects, without any key, against the manifest. */
export async function checkOwn(
  v: Verification,
  artifact: ManifestArtifact,
  object: ManifestArtifact['object'],
  finding: Finding,
): Promise<void> {
  const { plan, storage, signal, tally } = v;
  const key = `${plan.keyPrefix}/${object.name}`;
  const check = await checkObject(storage, { ...object, key }, signal, (read) => tally.read(read, key));
  noteCheck(finding, artifact, { object: { ...object, key }, check });
}

/** As `checkOwn` of an object that was just read to its end by `openStored`, which ends well for the right bytes alone. */
export function noteRead(
  { plan, tally }: Verification,
  artifact: ManifestArtifact,
  found: ManifestArtifact['object'],
  finding: Finding,
): void {
  const object = { ...found, key: `${plan.keyPrefix}/${found.name}` };
  tally.read(object.bytes, object.key);
  noteCheck(finding, artifact, { object, check: judgeBytes(object, object) });
}

/** Whether the key of an encrypted archive is there. */
export async function checkKeyObject(
  { plan, storage, signal }: Verification,
  { object }: ManifestArtifact,
  finding: Finding,
): Promise<void> {
  if (!object.name.endsWith('.enc')) return;
  const archiveKey = `${plan.keyPrefix}/${object.name}`;
  const folder = archiveKey.slice(0, archiveKey.lastIndexOf('/'));
  for await (const { key } of storage.list(folder, signal)) {
    if (archiveOfKeyObject(key) === archiveKey) return pass(finding, 'encryption');
  }
  fail(finding, 'encryption', `The key of ${archiveKey} is gone from the destination.`);
}

/** Notes what an object was found to be; `ofWhom` begins the sentence that tells of a fault. */
export function noteCheck(
  finding: Finding,
  { artifactId, service }: Pick<ManifestArtifact, 'artifactId' | 'service'>,
  { object, check, ofWhom = '' }: { object: ExpectedObject; check: ObjectCheck; ofWhom?: string },
): void {
  const { key, bytes } = object;
  const { id: serviceId, component } = service;
  finding.objects.push({ artifactId, serviceId, component, key, bytes, ...check });
  if (check.status === 'passed') pass(finding, 'checksum');
  else fail(finding, 'checksum', ofWhom + check.message);
}
