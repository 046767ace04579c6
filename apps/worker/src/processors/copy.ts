import { MANIFEST_NAME, type Manifest } from '@tarfleet/archive';
import type { CopyPlan, CopyResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { copyKeys } from '../copies/copy-keys.ts';
import { type CopyPlaces, copyObject } from '../copies/copy-object.ts';
import type { JobContext, Processor } from '../job-context.ts';
import { assertNotEmptied } from '../jobs/assert-not-emptied.ts';
import type { ExpectedObject } from '../jobs/check-object.ts';
import { type LoadedManifest, loadManifest } from '../jobs/load-manifest.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Copies a backup's objects to a further destination, under the same names: archives and indexes, each checked against
 * the manifest on the way, wrapped keys, and the manifest last, for without it there is no backup there either. Running
 * it again after whatever happened keeps what is there and right, and does the rest.
 */
export function createCopyProcessor(deps: WorkerDeps): Processor<CopyPlan> {
  return (context) =>
    withStorage(deps, context.plan.source, (source) =>
      withStorage(deps, context.plan.destination, async (target) => ({
        state: 'completed',
        result: await copyBackup(source, target, context),
      })),
    );
}

async function copyBackup(
  source: Storage,
  target: Storage,
  context: JobContext<CopyPlan>,
): Promise<CopyResult> {
  const { plan, signal, report, delivery } = context;
  const { keyPrefix } = plan;
  const beforeCommit = (): Promise<void> => delivery.assertOwned();
  const places: CopyPlaces = { source, target, signal, beforeCommit };
  const found = await readManifest(source, plan, signal);
  await assertNotEmptied(target, plan, signal);
  // As with a first backup, what is written makes the place where there is none yet.
  if (!plan.holdsBackups) await target.check(signal);
  await assertNoOther(target, plan, signal);
  await beforeCommit();
  await target.abortUploads(keyPrefix, signal);
  const objects = objectsOf(found.manifest, keyPrefix);
  const kept = await report.step('copy', `Copying to ${plan.destination.name}`, () =>
    copyObjects(places, objects, context),
  );
  const keys = await copyKeys(places, {
    keyPrefix,
    archives: objects.map(({ key }) => key).filter((key) => key.endsWith('.tar.gz.enc')),
  });
  await report.step('commit', 'Writing the manifest', () => commit(target, found, context));
  const bytes = objects.reduce((sum, object) => sum + object.bytes, 0);
  return {
    kind: 'copy',
    objects: objects.length + keys.objects + 1,
    bytes: bytes + keys.bytes + found.bytes.length,
    kept: kept + keys.kept,
  };
}

async function readManifest(
  source: Storage,
  { keyPrefix, backupId, manifestSha256: sha256 }: CopyPlan,
  signal: AbortSignal,
): Promise<LoadedManifest> {
  const found = await loadManifest(source, { keyPrefix, backupId, sha256 }, signal);
  if (found) return found;
  throw new AppError('BACKUP_CORRUPTED', "The manifest is gone from the backup's own destination.");
}

/** What lies there under another manifest is another backup's, whoever put it there: it is left alone. */
async function assertNoOther(
  target: Storage,
  { keyPrefix, backupId, manifestSha256 }: CopyPlan,
  signal: AbortSignal,
): Promise<boolean> {
  const found = await loadManifest(target, { keyPrefix, backupId, sha256: null }, signal);
  if (found === null || found.sha256 === manifestSha256) return found !== null;
  throw new AppError(
    'CONFLICT',
    `${keyPrefix}/${MANIFEST_NAME} exists there and is not this backup's. Nothing was changed.`,
  );
}

function objectsOf({ artifacts }: Manifest, keyPrefix: string): ExpectedObject[] {
  return artifacts.flatMap(({ object, index }) =>
    [object, ...(index ? [index] : [])].map(({ name, bytes, sha256 }) => ({
      ...{ key: `${keyPrefix}/${name}`, bytes, sha256 },
    })),
  );
}

/** Gives how many were there already. */
async function copyObjects(
  places: CopyPlaces,
  objects: readonly ExpectedObject[],
  { progress }: JobContext<CopyPlan>,
): Promise<number> {
  const bytesTotal = objects.reduce((sum, { bytes }) => sum + bytes, 0);
  const pace = createPace(bytesTotal);
  let before = 0;
  let kept = 0;
  for (const [filesDone, object] of objects.entries()) {
    const was = await copyObject(places, object, (done) => {
      const bytesDone = before + done;
      progress({
        ...{ phase: 'copying', bytesDone, bytesTotal, filesDone, filesTotal: objects.length },
        ...{ current: object.key, ...pace.at(bytesDone) },
      });
    });
    if (was === 'kept') kept += 1;
    before += object.bytes;
  }
  return kept;
}

async function commit(
  target: Storage,
  { bytes }: LoadedManifest,
  { plan, signal, delivery }: JobContext<CopyPlan>,
): Promise<void> {
  if (await assertNoOther(target, plan, signal)) return;
  await delivery.assertOwned();
  try {
    await target.create(`${plan.keyPrefix}/${MANIFEST_NAME}`, bytes, signal);
  } catch (error) {
    // Written by a predecessor since the look, or by us when only the answer got lost.
    const exists = error instanceof AppError && error.code === 'OBJECT_EXISTS';
    if (!exists || !(await assertNoOther(target, plan, signal))) throw error;
  }
}
