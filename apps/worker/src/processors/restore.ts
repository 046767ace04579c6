import type { Manifest, TarEntry } from '@tarfleet/archive';
import type { RestorePlan, RestoreResult, ServiceTarget } from '@tarfleet/contracts';
import { AppError, toFailure } from '@tarfleet/kernel';
import type { RestoreSummary } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import type { Session } from '@tarfleet/transport';
import { keyOfArtifact, type ManifestArtifact } from '../archives/artifact-reader.ts';
import { createTarOpener, type TarOpener } from '../archives/open-tar.ts';
import type { JobContext, Processor } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import { createPace, type Pace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** Puts services' files back on a server. Nothing is touched before manifest and archives are found sound. */
export function createRestoreProcessor(deps: WorkerDeps): Processor<RestorePlan> {
  return (context) =>
    withStorage(deps, context.plan.destination, async (storage) => {
      const { plan, report, signal } = context;
      const manifest = await readManifest(storage, context);
      const selected = selectArtifacts(manifest, plan);
      const openers = await openAll(deps, storage, context, manifest, selected);
      const artifacts = selected.filter(({ artifactId }) => openers.has(artifactId));
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
        return await restoreAll(deps, session, context, { artifacts, openers });
      } finally {
        await session.close();
      }
    });
}

async function readManifest(storage: Storage, { plan, signal }: JobContext<RestorePlan>): Promise<Manifest> {
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

/** How each artifact is read, by its id. A key or a path that is missing shows before anything starts. */
async function openAll(
  { keyring, codec }: WorkerDeps,
  storage: Storage,
  { plan, signal }: JobContext<RestorePlan>,
  manifest: Manifest,
  artifacts: ManifestArtifact[],
): Promise<Map<string, TarOpener>> {
  await checkManifestMac(keyring, storage, plan.keyPrefix, manifest, signal);
  const openers = new Map<string, TarOpener>();
  const { backupId, keyPrefix, paths } = plan;
  for (const artifact of artifacts) {
    const place = { storage, keyring, codec, keyPrefix, backupId, artifact };
    const dataKey = await keyOfArtifact(place, signal);
    const opener = await createTarOpener(place, { dataKey, paths }, signal);
    // What holds none of the paths is left alone.
    if (opener.roots?.length !== 0 || paths === null) openers.set(artifact.artifactId, opener);
  }
  const held = [...openers.values()].flatMap(({ roots }) => (roots ?? []).map(({ path }) => path.toString()));
  const holds = (path: string): boolean =>
    held.some((root) => root === path || root.startsWith(path === '/' ? path : `${path}/`));
  const missing = paths?.filter((path) => !holds(path)) ?? [];
  if (missing.length > 0) {
    throw new AppError(
      'PATH_NOT_FOUND',
      `The backup does not hold ${missing.join(', ')}. Nothing was restored.`,
    );
  }
  return openers;
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
  session: Session,
  context: JobContext<RestorePlan>,
  { artifacts, openers }: { artifacts: ManifestArtifact[]; openers: Map<string, TarOpener> },
): Promise<{ state: 'completed'; result: RestoreResult }> {
  const { plan, report, log } = context;
  const totals = {
    bytes: artifacts.reduce((sum, { index, contentBytes }) => sum + (index?.contentBytes ?? contentBytes), 0),
    files: artifacts.reduce((sum, { index, files }) => sum + (index?.files ?? files), 0),
  };
  const counter = createCounter(context, totals);
  const result: RestoreResult = {
    kind: 'restore',
    outcome: 'restored',
    rollbackPath: null,
    notRunning: [],
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
        restoreOne(deps, session, context, {
          artifact,
          opener: openers.get(artifact.artifactId),
          onEntry: counter.see,
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
  session: Session,
  { plan, signal, delivery, report }: JobContext<RestorePlan>,
  {
    artifact,
    opener,
    onEntry,
  }: { artifact: ManifestArtifact; opener: TarOpener | undefined; onEntry: (entry: TarEntry) => void },
): Promise<RestoreSummary> {
  const { id, name, type, component } = artifact.service;
  if (type !== 'files' || !opener) {
    throw new AppError(
      'NOT_SUPPORTED',
      `This worker cannot restore services of the type ${type}: update it.`,
    );
  }
  const service: ServiceTarget = {
    ...{ id, name, type, component, exclude: artifact.exclude },
    configPaths: [],
    dataPaths: artifact.roots,
  };
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
    roots: opener.roots,
    extras: opener.extras,
    openTar: () => opener.open(),
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
