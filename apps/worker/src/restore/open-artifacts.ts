import type { Manifest } from '@tarfleet/archive';
import { isDatabaseType, type PreviewPlan, type RestorePlan, type ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { keyOfArtifact, type ManifestArtifact } from '../archives/artifact-reader.ts';
import { createTarOpener, type TarOpener } from '../archives/open-tar.ts';
import type { JobContext } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import { createPace } from '../jobs/pace.ts';
import type { WorkerDeps } from '../worker-deps.ts';

export interface OpenArtifact {
  artifact: ManifestArtifact & { service: { type: ServiceTarget['type'] } };
  opener: TarOpener;
}

/**
 * The artifacts that a plan asks for, and how each is read. A key or a path that is missing shows here, before
 * anything starts: ENCRYPTION_KEY_NOT_FOUND, PATH_NOT_FOUND, BACKUP_CORRUPTED.
 */
export async function openArtifacts(
  { keyring, codec }: Pick<WorkerDeps, 'keyring' | 'codec'>,
  storage: Storage,
  plan: RestorePlan | PreviewPlan,
  signal: AbortSignal,
): Promise<OpenArtifact[]> {
  const { keyPrefix, backupId, paths } = plan;
  const found = await loadManifest(storage, { keyPrefix, backupId, sha256: plan.manifestSha256 }, signal);
  if (!found) throw new AppError('BACKUP_CORRUPTED', 'The manifest is gone: the backup no longer exists.');
  const artifacts = selectArtifacts(found.manifest, plan);
  await checkManifestMac(keyring, storage, keyPrefix, found.manifest, signal);
  const opened: OpenArtifact[] = [];
  for (const artifact of artifacts) {
    const place = { storage, keyring, codec, keyPrefix, backupId, artifact };
    const dataKey = await keyOfArtifact(place, signal);
    const opener = await createTarOpener(place, { dataKey, paths }, signal);
    // What holds none of the paths is left alone.
    if (paths === null || opener.roots?.length !== 0) opened.push({ artifact, opener });
  }
  if (paths !== null) assertAllHeld(paths, opened);
  return opened;
}

function selectArtifacts(
  manifest: Manifest,
  { serviceIds }: Pick<RestorePlan, 'serviceIds'>,
): OpenArtifact['artifact'][] {
  return serviceIds.map((id) => {
    const artifact = manifest.artifacts.find((one) => one.service.id === id);
    if (!artifact) throw new AppError('RESTORE_FAILED', `The backup holds no archive of the service ${id}.`);
    const { type } = artifact.service;
    if (type === 'files' || isDatabaseType(type))
      return { ...artifact, service: { ...artifact.service, type } };
    throw new AppError(
      'NOT_SUPPORTED',
      `This worker cannot restore services of the type ${type}: update it.`,
    );
  });
}

function assertAllHeld(paths: readonly string[], opened: readonly OpenArtifact[]): void {
  const held = opened.flatMap(({ opener }) => (opener.roots ?? []).map(({ path }) => path.toString()));
  const holds = (path: string): boolean =>
    held.some((root) => root === path || root.startsWith(path === '/' ? path : `${path}/`));
  const missing = paths.filter((path) => !holds(path));
  if (missing.length === 0) return;
  throw new AppError(
    'PATH_NOT_FOUND',
    `The backup does not hold ${missing.join(', ')}. Nothing was restored.`,
  );
}

/** Compares what is stored with the manifest's checksums. BACKUP_CORRUPTED names what is damaged. */
export async function verifyStored(
  storage: Storage,
  { plan, signal, progress }: Pick<JobContext<RestorePlan | PreviewPlan>, 'plan' | 'signal' | 'progress'>,
  opened: readonly OpenArtifact[],
): Promise<void> {
  const total = opened.reduce((sum, { artifact }) => sum + artifact.object.bytes, 0);
  const pace = createPace(total);
  let bytesDone = 0;
  for (const { artifact } of opened) {
    const key = `${plan.keyPrefix}/${artifact.object.name}`;
    const check = await checkObject(storage, { ...artifact.object, key }, signal, (bytes) => {
      bytesDone += bytes;
      progress({
        ...{ phase: 'verifying', bytesDone, bytesTotal: total, filesDone: 0, filesTotal: null },
        ...{ current: key, ...pace.at(bytesDone) },
      });
    });
    if (check.status !== 'passed') {
      throw new AppError(
        'BACKUP_CORRUPTED',
        `${artifact.service.name}: ${check.message} Nothing was restored.`,
      );
    }
  }
}
