import { MANIFEST_NAME } from '@tarfleet/archive';
import type { SweepPlan } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { archiveOfKeyObject } from '@tarfleet/vault';
import type { Processor } from '../job-context.ts';
import { clearPrefix } from '../jobs/clear-prefix.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Removes what dead attempts left below one backup's prefix. What the manifest names stays; when manifest and
 * plan disagree on whether the backup exists, nothing is removed and the job fails, for a person to look at.
 */
export function createSweepProcessor(deps: WorkerDeps): Processor<SweepPlan> {
  return ({ plan, signal, report, delivery }) =>
    withStorage(deps, plan.destination, async (storage) => {
      const { keyPrefix, backupId } = plan;
      const found = await loadManifest(storage, { keyPrefix, backupId, sha256: null }, signal);
      if (plan.keepNothing !== (found === null)) {
        throw new AppError(
          'CONFLICT',
          found
            ? `${keyPrefix}/${MANIFEST_NAME} exists although the backup ended without one. Nothing was removed.`
            : `${keyPrefix}/${MANIFEST_NAME} is gone although the backup has one. Nothing was removed.`,
        );
      }
      const named = new Set(
        (found?.manifest.artifacts ?? []).flatMap(({ object, index }) =>
          [object, ...(index ? [index] : [])].map(({ name }) => `${keyPrefix}/${name}`),
        ),
      );
      const keep = (key: string): boolean =>
        named.has(archiveOfKeyObject(key) ?? key) ||
        (found !== null && key === `${keyPrefix}/${MANIFEST_NAME}`);
      await delivery.assertOwned();
      const cleared = await report.step('sweep', 'Removing what dead attempts left', () =>
        clearPrefix(storage, keyPrefix, keep, signal),
      );
      return { state: 'completed', result: { kind: 'sweep', ...cleared } };
    });
}
