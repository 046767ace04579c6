import type { VerifyPlan, VerifyResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Storage } from '@tarfleet/storage';
import type { JobContext, Processor } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { type LoadedManifest, loadManifest } from '../jobs/load-manifest.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Quick verification: the manifest against its recorded SHA-256, each stored object against the manifest.
 * A backup that is not sound is a completed verification whose result says so.
 */
export function createVerifyProcessor(deps: WorkerDeps): Processor<VerifyPlan> {
  return (context) =>
    withStorage(deps, context.plan.destination, async (storage) => ({
      state: 'completed',
      result: await verifyBackup(storage, context),
    }));
}

async function verifyBackup(storage: Storage, context: JobContext<VerifyPlan>): Promise<VerifyResult> {
  const { plan, report, signal, progress } = context;
  const result: VerifyResult = {
    kind: 'verify',
    level: 'quick',
    valid: true,
    verifiedAt: new Date().toISOString(),
    issues: [],
    objects: [],
  };
  const found = await report.step('manifest', 'Checking the manifest', () =>
    readManifest(storage, plan, signal),
  );
  if (typeof found === 'string') return { ...result, valid: false, issues: [found] };
  const { artifacts } = found.manifest;
  const objects = artifacts.flatMap(({ artifactId, service, object, index }) =>
    [object, ...(index ? [index] : [])].map((one) => ({ artifactId, service, object: one })),
  );
  const total = objects.reduce((sum, { object }) => sum + object.bytes, 0);
  const pace = createPace(total);
  let bytesDone = 0;
  await report.step('objects', 'Reading the stored objects', async () => {
    for (const { artifactId, service, object } of objects) {
      const key = `${plan.keyPrefix}/${object.name}`;
      const check = await checkObject(storage, { ...object, key }, signal, (bytes) => {
        bytesDone += bytes;
        progress({
          phase: 'verification',
          bytesDone,
          bytesTotal: total,
          filesDone: result.objects.length,
          filesTotal: objects.length,
          current: key,
          ...pace.at(bytesDone),
        });
      });
      const { id: serviceId, component } = service;
      result.objects.push({ artifactId, serviceId, component, key, bytes: object.bytes, ...check });
      if (check.status !== 'passed') result.issues.push(`${service.name}: ${check.message}`);
    }
  });
  return { ...result, valid: result.issues.length === 0, verifiedAt: new Date().toISOString() };
}

/** The manifest, or what is wrong with it. */
async function readManifest(
  storage: Storage,
  plan: VerifyPlan,
  signal: AbortSignal,
): Promise<LoadedManifest | string> {
  const place = { keyPrefix: plan.keyPrefix, backupId: plan.backupId, sha256: plan.manifestSha256 };
  try {
    return (
      (await loadManifest(storage, place, signal)) ?? 'The manifest is gone: the backup no longer exists.'
    );
  } catch (error) {
    if (error instanceof AppError && error.code === 'BACKUP_CORRUPTED') return error.message;
    throw error;
  }
}
