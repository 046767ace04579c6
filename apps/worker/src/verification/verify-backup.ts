import type { Manifest } from '@tarfleet/archive';
import type { VerifyPlan, VerifyResult } from '@tarfleet/contracts';
import { toFailure } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { ManifestArtifact } from '../archives/artifact-reader.ts';
import type { JobContext } from '../job-context.ts';
import { type LoadedManifest, loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { openCheckpoint } from './checkpoint.ts';
import { type Finding, isDamage, NO_CHECKS, sumUp } from './finding.ts';
import { createTally } from './tally.ts';
import type { Verification } from './verification.ts';
import { openAllKeys, verifyService } from './verify-service.ts';

/**
 * Looks at a backup, or at some of its services, as closely as the plan's level asks. A backup that is not sound is
 * a result that says so; what is thrown (a missing key, a destination that is away) says nothing of the backup.
 */
export async function verifyBackup(
  deps: WorkerDeps,
  storage: Storage,
  context: JobContext<VerifyPlan>,
): Promise<VerifyResult> {
  const { plan, report } = context;
  const found = await report.step('manifest', 'Checking the manifest', () => readManifest(storage, context));
  if (typeof found === 'string') return toResult(plan, [], [found], []);
  const { manifest } = found;
  const artifacts = manifest.artifacts.filter(
    ({ service }) => plan.serviceIds === null || plan.serviceIds.includes(service.id),
  );
  const absent = (plan.serviceIds ?? []).filter((id) => artifacts.every(({ service }) => service.id !== id));
  const faults = absent.map((id) => `The manifest does not name the service ${id}.`);
  const forged = await macFault(deps, storage, context, manifest);
  const findings = await lookAt(deps, storage, context, artifacts);
  // A key that is gone is told with its service.
  if (forged && findings.every(({ service }) => !service.issues.includes(forged))) faults.push(forged);
  const lacking = plan.serviceIds === null ? manifest.failed.map(({ serviceName }) => serviceName) : [];
  return toResult(plan, findings, faults, lacking);
}

async function lookAt(
  deps: WorkerDeps,
  storage: Storage,
  { plan, report, signal, progress, delivery }: JobContext<VerifyPlan>,
  artifacts: ManifestArtifact[],
): Promise<Finding[]> {
  const { keyring, codec, tmpDir, ownMachine } = deps;
  const { level, jobId } = plan;
  const quick = level === 'quick';
  const unseen = { read: () => undefined, done: () => undefined, finish: () => undefined };
  const v: Verification = {
    ...{ plan, storage, keyring, codec, tmpDir, ownMachine, delivery, signal, tally: unseen },
  };
  if (quick) {
    v.tally = createTally(progress, { bytes: sum(artifacts, storedBytes), files: sum(artifacts, objects) });
    const found = await report.step('objects', 'Reading the stored objects', () => inTurn(v, artifacts));
    v.tally.finish();
    return found;
  }
  const ancestors = await report.step('keys', 'Opening the keys', () => openAllKeys(v, artifacts));
  const times = level === 'deep' ? 1 : 2;
  v.tally = createTally(progress, {
    bytes: sum(artifacts, storedBytes) + ancestors + times * sum(artifacts, contentBytes),
    files: sum(artifacts, ({ index, files }) => index?.files ?? files),
  });
  const checkpoint = await openCheckpoint({ tmpDir, jobId, token: delivery.token });
  const findings: Finding[] = [];
  try {
    for (const artifact of artifacts) {
      const message = `Verifying ${artifact.service.name}`;
      const before = checkpoint.done.get(artifact.artifactId);
      const finding =
        before ?? (await report.step('verify_service', message, () => verifyService(v, artifact)));
      if (!before) await checkpoint.save(finding);
      findings.push(finding);
    }
  } catch (error) {
    if (isFinal(signal.aborted ? signal.reason : error)) await checkpoint.remove();
    throw error;
  }
  await checkpoint.remove();
  v.tally.finish();
  return findings;
}

/** No other attempt follows. */
function isFinal(error: unknown): boolean {
  const { code, retryable } = toFailure(error);
  return !retryable && code !== 'WORKER_STOPPING' && code !== 'ATTEMPT_SUPERSEDED';
}

async function inTurn(v: Verification, artifacts: ManifestArtifact[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  for (const artifact of artifacts) {
    const finding = await verifyService(v, artifact);
    v.tally.done(finding.objects.length);
    findings.push(finding);
  }
  return findings;
}

function toResult(
  { level, serviceIds }: VerifyPlan,
  findings: Finding[],
  faults: string[],
  lacking: string[],
): VerifyResult {
  const services = findings.map(({ service }) => service);
  const issues = [
    ...faults,
    ...services.flatMap(({ serviceName, issues: of }) => of.map((issue) => `${serviceName}: ${issue}`)),
  ];
  const checks = findings.length > 0 ? sumUp(services.map((one) => one.checks)) : { ...NO_CHECKS };
  checks.metadata = faults.length > 0 || checks.metadata === 'failed' ? 'failed' : 'passed';
  return {
    ...{ kind: 'verify', level, narrowed: serviceIds !== null, valid: issues.length === 0, issues, checks },
    verifiedAt: new Date().toISOString(),
    ...{ services, lacking, objects: findings.flatMap(({ objects: of }) => of) },
    damagedAncestors: [...new Set(findings.flatMap(({ damagedAncestors: of }) => of))],
  };
}

/** The manifest, or what is wrong with it. */
async function readManifest(
  storage: Storage,
  { plan, signal }: JobContext<VerifyPlan>,
): Promise<LoadedManifest | string> {
  const { keyPrefix, backupId, manifestSha256: sha256 } = plan;
  try {
    const found = await loadManifest(storage, { keyPrefix, backupId, sha256 }, signal);
    return found ?? 'The manifest is gone: the backup no longer exists.';
  } catch (error) {
    if (isDamage(error)) return error.message;
    throw error;
  }
}

/** What is wrong with the manifest's MAC, at levels that open keys. */
async function macFault(
  { keyring }: WorkerDeps,
  storage: Storage,
  { plan, signal }: JobContext<VerifyPlan>,
  manifest: Manifest,
): Promise<string | null> {
  if (plan.level === 'quick') return null;
  try {
    await checkManifestMac(keyring, storage, plan.keyPrefix, manifest, signal);
    return null;
  } catch (error) {
    if (isDamage(error)) return error.message;
    throw error;
  }
}

function sum(artifacts: ManifestArtifact[], of: (artifact: ManifestArtifact) => number): number {
  return artifacts.reduce((total, artifact) => total + of(artifact), 0);
}

function storedBytes({ object, index }: ManifestArtifact): number {
  return object.bytes + (index?.bytes ?? 0);
}

function objects({ index }: ManifestArtifact): number {
  return index ? 2 : 1;
}

function contentBytes({ index, contentBytes: own }: ManifestArtifact): number {
  return index?.contentBytes ?? own;
}
