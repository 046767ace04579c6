import type { RewrapPlan, RewrapResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import { rewrapDataKey } from '@tarfleet/vault';
import { type ArtifactPlace, keyOfArtifact } from '../archives/artifact-reader.ts';
import type { JobContext, Processor } from '../job-context.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Wraps the keys of a backup's archives with another key of the keyring; archives, indexes and manifest stay as they
 * are. A key that is missing, the new one or an old one, shows before anything is changed. Running it again after a
 * crash does the rest. The backup's copies follow it, one destination after the other.
 */
export function createRewrapProcessor(deps: WorkerDeps): Processor<RewrapPlan> {
  return async (context) => {
    const { destination, to, pool } = context.plan;
    if (!deps.keyring.has(to)) {
      throw new AppError(
        'ENCRYPTION_KEY_NOT_FOUND',
        `This worker of the pool ${pool} has no key ${to}. Add it to its keyring (KEYRING_FILE). Nothing was changed.`,
      );
    }
    const result = await withStorage(deps, destination, (storage) => rewrapBackup(deps, storage, context));
    // A copy that still needed the old key would be lost with it.
    for (const copy of context.plan.copies ?? []) {
      await withStorage(deps, copy, (storage) => rewrapBackup(deps, storage, context));
    }
    return { state: 'completed', result };
  };
}

async function rewrapBackup(
  deps: WorkerDeps,
  storage: Storage,
  { plan, report, signal, progress, delivery }: JobContext<RewrapPlan>,
): Promise<RewrapResult> {
  const places = await report.step('keys', 'Opening the keys of the archives', async () => {
    const found = await encryptedArchives(deps, storage, plan, signal);
    for (const place of found) await keyOfArtifact(place, signal);
    return found;
  });
  let changed = 0;
  await report.step('rewrap', `Wrapping the keys with ${plan.to}`, async () => {
    for (const [done, { artifact }] of places.entries()) {
      const archiveKey = `${plan.keyPrefix}/${artifact.object.name}`;
      progress({
        ...{ phase: 'rewrapping', bytesDone: 0, bytesTotal: null, bytesPerSecond: null, secondsLeft: null },
        ...{ filesDone: done, filesTotal: places.length, current: archiveKey },
      });
      const ids = { backupId: plan.backupId, artifactId: artifact.artifactId };
      const assertOwned = (): Promise<void> => delivery.assertOwned();
      await assertOwned();
      const onKept = (name: string): void =>
        report.warn({
          code: 'KEY_OBJECT_KEPT',
          message: `${archiveKey} is still wrapped with the key ${name} as well: this worker's keyring (KEYRING_FILE) does not open that one, so it was not removed.`,
        });
      const one = { archiveKey, ids, to: plan.to, assertOwned, onKept };
      if (await rewrapDataKey(storage, deps.keyring, one, signal)) changed += 1;
    }
  });
  return { kind: 'rewrap', archives: places.length, changed, keyName: plan.to };
}

async function encryptedArchives(
  { keyring }: WorkerDeps,
  storage: Storage,
  { keyPrefix, backupId, manifestSha256: sha256 }: RewrapPlan,
  signal: AbortSignal,
): Promise<ArtifactPlace[]> {
  const found = await loadManifest(storage, { keyPrefix, backupId, sha256 }, signal);
  if (!found) throw new AppError('BACKUP_CORRUPTED', 'The manifest is gone: the backup no longer exists.');
  return found.manifest.artifacts
    .filter(({ object }) => object.name.endsWith('.enc'))
    .map((artifact) => ({ storage, keyring, keyPrefix, backupId, artifact }));
}
