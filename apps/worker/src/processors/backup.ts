import { createHash } from 'node:crypto';
import { MANIFEST_NAME, type Manifest, serializeManifest } from '@tarfleet/archive';
import {
  ArtifactResult,
  type BackupPlan,
  type BackupResult,
  createParser,
  type Failure,
  PROJECT_RECORDS,
  readFailure,
} from '@tarfleet/contracts';
import { AppError, timeLimit, toFailure } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { JobContext, Outcome, Processor } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { clearPrefix } from '../jobs/clear-prefix.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { sealManifest } from '../jobs/manifest-mac.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { buildManifest } from './backup-manifest.ts';

const CLEAN_UP_MS = 30_000;
const parseArtifact = createParser(ArtifactResult);

type Failed = BackupResult['failed'][number];

/**
 * Closes a backup once every artifact's job has ended, well or not: commits the manifest when there is anything
 * to keep (`partial` when something failed), else removes what there is and fails.
 */
export function createBackupProcessor(deps: WorkerDeps): Processor<BackupPlan> {
  return (context) =>
    withStorage(deps, context.plan.destination, async (storage) => {
      try {
        context.signal.throwIfAborted();
        const existing = await adopt(storage, context);
        if (existing) return existing;
        const outcomes = await sortOutcomes(context);
        if (outcomes.cancelled) throw new AppError('CANCELLED', 'The backup was cancelled.');
        const verified = context.plan.verify ? await verify(storage, context, outcomes) : outcomes;
        return await commit(deps, storage, context, verified);
      } catch (error) {
        const reason = context.signal.aborted ? context.signal.reason : error;
        if (isFinal(reason)) await cleanUp(storage, context);
        throw reason;
      }
    });
}

interface Outcomes {
  done: ArtifactResult[];
  failed: Failed[];
  cancelled: boolean;
}

async function sortOutcomes({ plan, delivery }: JobContext<BackupPlan>): Promise<Outcomes> {
  const children = await delivery.childOutcomes();
  const outcomes: Outcomes = { done: [], failed: [], cancelled: false };
  for (const planned of plan.artifacts) {
    const child = children.get(planned.jobId);
    const parsed = child?.ok ? parseArtifact(child.result) : undefined;
    if (parsed?.ok) {
      outcomes.done.push(parsed.value);
      continue;
    }
    const failure = (child && !child.ok && readFailure(child.reason)) || lost();
    if (failure.code === 'CANCELLED') outcomes.cancelled = true;
    const { id, name } = planned.service;
    outcomes.failed.push({ artifactId: planned.jobId, serviceId: id, serviceName: name, failure });
  }
  return outcomes;
}

function lost(): Failure {
  return {
    code: 'WORKER_LOST',
    message: 'The workers that captured this service died each time; see the worker logs under this job id.',
    retryable: false,
  };
}

/** Reads every new archive back; one that is not what was stored counts as failed. */
async function verify(
  storage: Storage,
  { plan, report, progress, signal }: JobContext<BackupPlan>,
  outcomes: Outcomes,
): Promise<Outcomes> {
  const total = outcomes.done.reduce(
    (sum, { storedBytes, index }) => sum + storedBytes + (index?.storedBytes ?? 0),
    0,
  );
  const pace = createPace(total);
  let bytesDone = 0;
  const sound: ArtifactResult[] = [];
  const failed = [...outcomes.failed];
  if (outcomes.done.length === 0) return outcomes;
  await report.step('verify', 'Reading the stored archives back', async () => {
    for (const artifact of outcomes.done) {
      const object = { key: artifact.key, bytes: artifact.storedBytes, sha256: artifact.sha256 };
      const check = await checkObject(storage, object, signal, (bytes) => {
        bytesDone += bytes;
        progress({
          phase: 'verification',
          bytesDone,
          bytesTotal: total,
          filesDone: sound.length,
          filesTotal: outcomes.done.length,
          current: artifact.key,
          ...pace.at(bytesDone),
        });
      });
      if (check.status === 'passed') {
        sound.push(artifact);
        continue;
      }
      const planned = plan.artifacts.find((one) => one.jobId === artifact.artifactId);
      failed.push({
        artifactId: artifact.artifactId,
        serviceId: planned?.service.id ?? artifact.artifactId,
        serviceName: planned?.service.name ?? artifact.artifactId,
        failure: { code: 'BACKUP_VERIFICATION_FAILED', message: check.message, retryable: false },
      });
    }
  });
  return { ...outcomes, done: sound, failed };
}

async function commit(
  deps: WorkerDeps,
  storage: Storage,
  context: JobContext<BackupPlan>,
  outcomes: Outcomes,
): Promise<Outcome> {
  const { plan, report, delivery, signal } = context;
  // What is not there at all tells least of what is wrong: it is the backup's failure where it is that of every service.
  const first =
    outcomes.failed.find(({ failure }) => failure.code !== 'PATH_NOT_FOUND') ?? outcomes.failed[0];
  const isService = ({ artifactId }: ArtifactResult): boolean =>
    plan.artifacts.some(
      ({ jobId, service }) => jobId === artifactId && service.type !== PROJECT_RECORDS.type,
    );
  // The project's own records alone are no backup of it.
  if (!outcomes.done.some(isService) && first) {
    throw new AppError(first.failure.code, `${first.serviceName}: ${first.failure.message}`);
  }
  const verifiedAt = plan.verify ? new Date().toISOString() : null;
  const manifest = buildManifest(plan, outcomes.done, outcomes.failed, verifiedAt);
  const bytes = serializeManifest(
    await sealManifest(deps.keyring, storage, plan.keyPrefix, manifest, signal),
  );
  const key = `${plan.keyPrefix}/${MANIFEST_NAME}`;
  try {
    await report.step('commit', 'Writing the manifest', async () => {
      await delivery.assertOwned();
      await storage.create(key, bytes, signal);
    });
  } catch (error) {
    // Written by a predecessor since the look at the start, or by us when only the answer got lost.
    const exists = error instanceof AppError && error.code === 'OBJECT_EXISTS';
    const existing = exists ? await adopt(storage, context) : null;
    if (!existing) throw error;
    return existing;
  }
  const manifestSha256 = createHash('sha256').update(bytes).digest('hex');
  const { done: artifacts, failed } = outcomes;
  return {
    state: failed.length > 0 ? 'partial' : 'completed',
    result: { kind: 'backup', manifestKey: key, manifestSha256, artifacts, failed, verifiedAt },
  };
}

/** An earlier attempt wrote the manifest and died before it could say so: what it committed is the backup. */
async function adopt(storage: Storage, { plan, signal }: JobContext<BackupPlan>): Promise<Outcome | null> {
  const place = { keyPrefix: plan.keyPrefix, backupId: plan.jobId, sha256: null };
  const found = await loadManifest(storage, place, signal);
  if (!found) return null;
  return {
    state: found.manifest.failed.length > 0 ? 'partial' : 'completed',
    result: fromManifest(plan, found),
  };
}

function fromManifest(plan: BackupPlan, found: { manifest: Manifest; sha256: string }): BackupResult {
  const { manifest } = found;
  return {
    kind: 'backup',
    manifestKey: `${plan.keyPrefix}/${MANIFEST_NAME}`,
    manifestSha256: found.sha256,
    verifiedAt: manifest.verifiedAt,
    artifacts: manifest.artifacts.map((artifact) => ({
      kind: 'artifact',
      artifactId: artifact.artifactId,
      attempt: artifact.attempt,
      key: `${plan.keyPrefix}/${artifact.object.name}`,
      sha256: artifact.object.sha256,
      storedBytes: artifact.object.bytes,
      index: artifact.index && indexResult(artifact.index, plan),
      parent: artifact.parent,
      ancestors: artifact.ancestors,
      tarBytes: artifact.tarBytes,
      contentBytes: artifact.contentBytes,
      files: artifact.files,
      directories: artifact.directories,
      otherEntries: artifact.otherEntries,
      warnings: artifact.warnings,
      ...(artifact.database ? { database: artifact.database } : {}),
      startedAt: artifact.startedAt,
      endedAt: artifact.endedAt,
    })),
    failed: manifest.failed.map((failed) => ({
      artifactId: failed.artifactId,
      serviceId: failed.serviceId,
      serviceName: failed.serviceName,
      failure: { code: failed.code, message: failed.message, retryable: false } as Failure,
    })),
  };
}

function indexResult(
  { name, bytes, ...facts }: NonNullable<Manifest['artifacts'][number]['index']>,
  { keyPrefix }: BackupPlan,
): NonNullable<ArtifactResult['index']> {
  return { key: `${keyPrefix}/${name}`, storedBytes: bytes, ...facts };
}

/** Faults after which no further attempt follows: only then may the children's objects go. */
function isFinal(error: unknown): boolean {
  const failure = toFailure(error);
  return failure.code !== 'WORKER_STOPPING' && failure.code !== 'ATTEMPT_SUPERSEDED' && !failure.retryable;
}

async function cleanUp(storage: Storage, { plan, delivery, log }: JobContext<BackupPlan>): Promise<void> {
  const signal = timeLimit(CLEAN_UP_MS);
  try {
    const place = { keyPrefix: plan.keyPrefix, backupId: plan.jobId, sha256: null };
    if (await loadManifest(storage, place, signal)) return;
    // A successor may be about to commit these very objects.
    await delivery.assertOwned();
    await clearPrefix(storage, plan.keyPrefix, () => false, signal);
  } catch (error) {
    log.warn({ err: error }, 'clean-up left to the sweep');
  }
}
