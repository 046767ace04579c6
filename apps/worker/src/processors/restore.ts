import { createHash } from 'node:crypto';
import { type Duplex, type Readable, Transform } from 'node:stream';
import { createMemberReader, type Manifest, type TarEntry } from '@tarfleet/archive';
import type { RestorePlan, RestoreResult, ServiceTarget } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import type { RestoreSummary } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import type { Session } from '@tarfleet/transport';
import type { JobContext, Processor } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { createPace, type Pace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

type ManifestArtifact = Manifest['artifacts'][number];

/** Puts services' files back on a server. Nothing is touched before manifest and archives are found sound. */
export function createRestoreProcessor(deps: WorkerDeps): Processor<RestorePlan> {
  return (context) =>
    withStorage(deps, context.plan.destination, async (storage) => {
      const { plan, report, signal } = context;
      const manifest = await readManifest(storage, context);
      const artifacts = selectArtifacts(manifest, plan);
      const keys = await openKeys(deps.keyring, storage, context, manifest, artifacts);
      const paths = plan.restorePath === null ? artifacts.flatMap((one) => one.roots) : [plan.restorePath];
      await deps.assertPathsAllowed(plan.server, paths);
      if (plan.verifyIntegrity) {
        await report.step('verify_integrity', 'Checking the stored archives', () =>
          verifyAll(storage, context, artifacts),
        );
      }
      const session = await report.step('connect', `Connecting to ${plan.server.name}`, () =>
        deps.connect(plan.server, { signal }),
      );
      try {
        return await restoreAll(deps, storage, session, context, { artifacts, keys });
      } finally {
        await session.close();
      }
    });
}

async function readManifest(
  storage: Storage,
  { plan, signal }: JobContext<RestorePlan>,
): Promise<Manifest> {
  const place = { keyPrefix: plan.keyPrefix, backupId: plan.backupId, sha256: plan.manifestSha256 };
  const found = await loadManifest(storage, place, signal);
  if (!found) throw new AppError('BACKUP_CORRUPTED', 'The manifest is gone: the backup no longer exists.');
  return found.manifest;
}

function selectArtifacts(manifest: Manifest, plan: RestorePlan): ManifestArtifact[] {
  return plan.serviceIds.map((id) => {
    const artifact = manifest.artifacts.find((one) => one.service.id === id);
    if (!artifact) throw new AppError('RESTORE_FAILED', `The backup holds no archive of the service ${id}.`);
    return artifact;
  });
}

/** Of each artifact, by its id; empty when nothing is encrypted. A key that is missing shows before anything starts. */
async function openKeys(
  keyring: Keyring,
  storage: Storage,
  { plan, signal }: JobContext<RestorePlan>,
  manifest: Manifest,
  artifacts: ManifestArtifact[],
): Promise<Map<string, Buffer>> {
  const keys = new Map<string, Buffer>();
  if (manifest.encryption === null) return keys;
  for (const { artifactId, object } of artifacts) {
    const place = {
      archiveKey: `${plan.keyPrefix}/${object.name}`,
      ids: { backupId: plan.backupId, artifactId },
    };
    keys.set(artifactId, await openDataKey(storage, keyring, place, signal));
  }
  await checkManifestMac(keyring, storage, plan.keyPrefix, manifest, signal);
  return keys;
}

async function verifyAll(
  storage: Storage,
  { plan, signal, progress }: JobContext<RestorePlan>,
  artifacts: ManifestArtifact[],
): Promise<void> {
  const total = artifacts.reduce((sum, artifact) => sum + artifact.object.bytes, 0);
  const pace = createPace(total);
  let bytesDone = 0;
  for (const { object, service } of artifacts) {
    const key = `${plan.keyPrefix}/${object.name}`;
    const check = await checkObject(storage, { ...object, key }, signal, (bytes) => {
      bytesDone += bytes;
      progress({
        phase: 'verifying',
        bytesDone,
        bytesTotal: total,
        filesDone: 0,
        filesTotal: null,
        current: key,
        ...pace.at(bytesDone),
      });
    });
    if (check.status !== 'passed') {
      throw new AppError('BACKUP_CORRUPTED', `${service.name}: ${check.message} Nothing was restored.`);
    }
  }
}

async function restoreAll(
  deps: WorkerDeps,
  storage: Storage,
  session: Session,
  context: JobContext<RestorePlan>,
  { artifacts, keys }: { artifacts: ManifestArtifact[]; keys: Map<string, Buffer> },
): Promise<{ state: 'completed'; result: RestoreResult }> {
  const { plan, report, log } = context;
  const totals = {
    bytes: artifacts.reduce((sum, one) => sum + one.contentBytes, 0),
    files: artifacts.reduce((sum, one) => sum + one.files, 0),
  };
  const counter = createCounter(context, totals);
  const result: RestoreResult = {
    kind: 'restore',
    restored: [],
    failed: [],
    filesRestored: 0,
    filesSkipped: 0,
    bytesRestored: 0,
  };
  for (const artifact of artifacts) {
    const { name } = artifact.service;
    try {
      const summary = await report.step('restore_service', `Restoring ${name}`, () =>
        restoreOne(deps, storage, session, context, {
          ...{ artifact, dataKey: keys.get(artifact.artifactId), onEntry: counter.see },
        }),
      );
      result.restored.push(name);
      result.filesRestored += summary.filesRestored;
      result.filesSkipped += summary.filesSkipped;
      result.bytesRestored += summary.bytesRestored;
    } catch (error) {
      context.signal.throwIfAborted();
      const failure = toFailure(error);
      if (failure.retryable) throw error;
      log.warn({ err: error, service: name }, 'service not restored');
      result.failed.push({ service: name, failure });
    }
  }
  const first = result.failed[0];
  if (first) {
    const done = result.restored.length > 0 ? ` Restored: ${result.restored.join(', ')}.` : '';
    const failed = result.failed.map((one) => `${one.service}: ${one.failure.message}`).join(' ');
    throw new AppError('RESTORE_FAILED', `${failed}${done} Server ${plan.server.name}.`, { details: result });
  }
  return { state: 'completed', result };
}

async function restoreOne(
  deps: WorkerDeps,
  storage: Storage,
  session: Session,
  { plan, signal, delivery, report }: JobContext<RestorePlan>,
  {
    artifact,
    dataKey,
    onEntry,
  }: {
    artifact: ManifestArtifact;
    dataKey: Buffer | undefined;
    onEntry: (entry: TarEntry) => void;
  },
): Promise<RestoreSummary> {
  const { id, name, type, component } = artifact.service;
  if (type !== 'files') {
    throw new AppError(
      'NOT_SUPPORTED',
      `This worker cannot restore services of the type ${type}: update it.`,
    );
  }
  const service: ServiceTarget = {
    id,
    name,
    type,
    component,
    configPaths: [],
    dataPaths: artifact.roots,
    exclude: artifact.exclude,
  };
  const key = `${plan.keyPrefix}/${artifact.object.name}`;
  const ids = { backupId: plan.backupId, artifactId: artifact.artifactId };
  const associatedData = archiveAad({ ...ids, role: 'archive' });
  return deps.sourceOf(service.type).restore({
    session,
    signal,
    service,
    jobId: `${plan.jobId}-${artifact.artifactId.slice(-12)}`,
    restorePath: plan.restorePath,
    overwrite: plan.overwrite,
    assertOwned: () => delivery.assertOwned(),
    warn: (warning) => report.warn(warning),
    onEntry,
    openTar: async () => {
      const stored = await storage.get(key, { signal });
      const steps = dataKey ? [createDecryptStream({ key: dataKey, associatedData }, signal)] : [];
      return chain(stored, checkHash(artifact.object), ...steps, createMemberReader(signal));
    },
  });
}

/** The last stream of a chain in which any fault destroys all, with that fault. */
function chain(source: Readable, ...steps: Duplex[]): Readable {
  return steps.reduce<Readable>((from, to) => {
    from.on('error', (error) => to.destroy(error));
    to.on('close', () => from.destroy());
    return from.pipe(to);
  }, source);
}

/** Compares the bytes once more while they are used: what changed since the check must not look like a clean end. */
function checkHash(object: { bytes: number; sha256: string; name: string }): Transform {
  const hash = createHash('sha256');
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      hash.update(chunk);
      done(null, chunk);
    },
    flush(done) {
      if (hash.digest('hex') === object.sha256) return done();
      done(new AppError('BACKUP_CORRUPTED', `The bytes of ${object.name} are not those that were stored.`));
    },
  });
}

function createCounter(context: JobContext<RestorePlan>, totals: { bytes: number; files: number }) {
  const pace: Pace = createPace(totals.bytes);
  let bytesDone = 0;
  let filesDone = 0;
  return {
    see(entry: TarEntry): void {
      if (entry.type === 'file' || entry.type === 'hardlink') filesDone += 1;
      if (entry.type === 'file') bytesDone += entry.size;
      context.progress({
        phase: 'restoring',
        bytesDone,
        bytesTotal: totals.bytes,
        filesDone,
        filesTotal: totals.files,
        current: `/${entry.path.toString('utf8')}`,
        ...pace.at(bytesDone),
      });
    },
  };
}
