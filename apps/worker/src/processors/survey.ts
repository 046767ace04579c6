import type { SurveyPlan } from '@tarfleet/contracts';
import type { ListedObject } from '@tarfleet/storage';
import type { Processor } from '../job-context.ts';
import { createGrouping } from '../jobs/group-found.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/**
 * Tells of all that lies in a destination, group by group; what of it is unknown, the API finds out, which has the
 * records. Nothing is opened, changed or removed. Each part is in the queue before the listing goes on.
 */
export function createSurveyProcessor(deps: WorkerDeps): Processor<SurveyPlan> {
  return ({ plan, signal, report, progress, delivery }) =>
    withStorage(deps, plan.destination, async (storage) => {
      const seen = { objects: 0, bytes: 0, uploads: 0, young: 0 };
      const youngFrom = Date.now() - plan.graceMs;
      const grouping = createGrouping(async (groups) => {
        await delivery.assertOwned();
        report.emit({ type: 'found', groups });
        await report.flush();
      });
      const look = async (found: ListedObject, what: 'object' | 'upload'): Promise<void> => {
        signal.throwIfAborted();
        if (what === 'object') seen.objects += 1;
        else seen.uploads += 1;
        seen.bytes += found.bytes;
        progress({
          ...{
            phase: 'survey',
            bytesDone: seen.bytes,
            bytesTotal: null,
            filesDone: seen.objects,
            filesTotal: null,
          },
          ...{ current: null, bytesPerSecond: null, secondsLeft: null },
        });
        if (found.modifiedAt !== null && found.modifiedAt.getTime() > youngFrom) seen.young += 1;
        else await grouping.add(found, what);
      };
      await report.step('survey', `Looking through ${plan.destination.name}`, async () => {
        for await (const found of storage.list('', signal)) await look(found, 'object');
        for await (const found of storage.listUploads('', signal)) await look(found, 'upload');
        await grouping.end();
      });
      return { state: 'completed', result: { kind: 'survey', ...seen } };
    });
}
