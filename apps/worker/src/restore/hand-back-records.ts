import {
  type HandedRecord,
  PROJECT_RECORDS,
  RECORDS_EVENT_BYTES,
  RECORDS_EVENT_MOST,
  type RestorePlan,
} from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { readRecords } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import { keyOfArtifact } from '../archives/artifact-reader.ts';
import { createTarOpener } from '../archives/open-tar.ts';
import type { JobContext } from '../job-context.ts';
import { checkObject } from '../jobs/check-object.ts';
import { loadManifest } from '../jobs/load-manifest.ts';
import { checkManifestMac } from '../jobs/manifest-mac.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

type Deps = Pick<WorkerDeps, 'openStorage' | 'keyring' | 'codec'>;
type Context = Pick<JobContext<RestorePlan>, 'plan' | 'report' | 'delivery'>;

/**
 * Reads the project's own records out of the backup and hands them to the API in events, which does nothing with them
 * before the restore's end. Each attempt hands over all of them: what another one sent does not count. Gives how many,
 * the metadata too; undefined when none are wanted. BACKUP_CORRUPTED, ARCHIVE_MALFORMED, ENCRYPTION_KEY_NOT_FOUND.
 */
export async function handBackRecords(
  deps: Deps,
  { plan, report, delivery }: Context,
  signal: AbortSignal,
): Promise<number | undefined> {
  if (!plan.records) return undefined;
  return report.step(
    'read_records',
    "Reading the project's own records",
    () =>
      withStorage(deps, plan.destination, async (storage) => {
        const lists = await readRecords(await openTar(deps, storage, plan, signal));
        let from = 0;
        for (const records of inEvents(lists)) {
          await delivery.assertOwned();
          signal.throwIfAborted();
          report.emit({ type: 'records', from, records });
          // One event is on its way at a time.
          await report.flush();
          from += records.length;
        }
        return from;
      }),
    (records) => ({ details: { records } }),
  );
}

async function openTar(
  { keyring, codec }: Deps,
  storage: Storage,
  { keyPrefix, backupId, manifestSha256 }: RestorePlan,
  signal: AbortSignal,
): Promise<AsyncIterable<Buffer>> {
  const found = await loadManifest(storage, { keyPrefix, backupId, sha256: manifestSha256 }, signal);
  const artifact = found?.manifest.artifacts.find(({ service }) => service.type === PROJECT_RECORDS.type);
  if (!found || !artifact) {
    throw new AppError('BACKUP_CORRUPTED', "The backup holds none of the project's own records.");
  }
  await checkManifestMac(keyring, storage, keyPrefix, found.manifest, signal);
  const { object } = artifact;
  const place = { ...object, key: `${keyPrefix}/${object.name}` };
  const check = await checkObject(storage, place, signal, () => undefined);
  if (check.status !== 'passed') throw new AppError('BACKUP_CORRUPTED', check.message);
  const where = { storage, keyring, codec, keyPrefix, backupId, artifact };
  const dataKey = await keyOfArtifact(where, signal);
  const opener = await createTarOpener(where, { dataKey, paths: null }, signal);
  return (await opener.open()) as AsyncIterable<Buffer>;
}

/** In parts that a queue takes. */
function* inEvents(lists: ReadonlyMap<HandedRecord[0], readonly string[]>): Generator<HandedRecord[]> {
  let part: HandedRecord[] = [];
  let bytes = 0;
  for (const [kind, lines] of lists) {
    for (const line of lines) {
      const more = Buffer.byteLength(line);
      if (part.length === RECORDS_EVENT_MOST || (part.length > 0 && bytes + more > RECORDS_EVENT_BYTES)) {
        yield part;
        part = [];
        bytes = 0;
      }
      part.push([kind, line]);
      bytes += more;
    }
  }
  if (part.length > 0) yield part;
}
