import { pipeline } from 'node:stream/promises';
import {
  artifactObjectName,
  BLOCK_BYTES,
  createMemberStream,
  encodeRootList,
  indexObjectName,
  LargeCopyLost,
} from '@tarfleet/archive';
import type { ArtifactPlan, ArtifactResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { type Capture, type CaptureOptions, captureRecords } from '@tarfleet/sources';
import type { Storage } from '@tarfleet/storage';
import { storeDataKey } from '@tarfleet/vault';
import { encryptOrPass } from '../archives/encrypt.ts';
import type { OpenParent } from '../archives/parent.ts';
import { writeIndex } from '../archives/write-index.ts';
import { withHooks } from '../hooks/with-hooks.ts';
import type { JobContext, Processor } from '../job-context.ts';
import { assertNotEmptied } from '../jobs/assert-not-emptied.ts';
import { withoutDestinations } from '../jobs/destination-folders.ts';
import { createEntryCounts } from '../jobs/entry-counts.ts';
import { createMeter } from '../jobs/meter.ts';
import { createPace } from '../jobs/pace.ts';
import { warnOnce } from '../jobs/warn-once.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';
import { findParent } from './find-parent.ts';

/** One service into one archive: server, tar, gzip members, destination, with nothing staged in between. */
export function createArtifactProcessor(deps: WorkerDeps): Processor<ArtifactPlan> {
  return async (given) => {
    // A second try finds again what the first has told.
    const context = { ...given, report: warnOnce(given.report) };
    const startedAt = new Date().toISOString();
    const { plan } = context;
    assertKey(deps, plan);
    await assertAllowed(deps, plan);
    return withStorage(deps, plan.destination, async (storage) => {
      await assertNotEmptied(storage, plan, context.signal);
      const place = { ...placeOf(deps, storage, context), startedAt };
      const first = plan.deduplicate ? 'all' : 'none';
      const result = await withHooks(deps, context, () =>
        archive(deps, context, place, first).catch((error: unknown) => {
          if (!(error instanceof LargeCopyLost)) throw error;
          context.log.warn({}, 'a large file changed before its copies were written; capturing again');
          return archive(deps, context, place, 'small');
        }),
      );
      return { state: 'completed', result };
    });
  };
}

/** Where a try at a job stores what it makes. */
interface Place {
  storage: Storage;
  startedAt: string;
  name: string;
  key: string;
  /** The archive's own key, made and stored when it is first asked for; null without encryption. */
  dataKey(): Promise<Buffer | null>;
}

function placeOf(
  deps: WorkerDeps,
  storage: Storage,
  { plan, delivery, signal }: JobContext<ArtifactPlan>,
): Omit<Place, 'startedAt'> {
  const name = artifactObjectName(plan.jobId, delivery.attempt, delivery.token, plan.encryption !== null);
  const key = `${plan.keyPrefix}/${name}`;
  let made: Promise<Buffer | null> | null = null;
  const dataKey = (): Promise<Buffer | null> => {
    made ??= newDataKey(deps, storage, plan, key, signal);
    return made;
  };
  return { storage, name, key, dataKey };
}

/** LargeCopyLost (with `all` alone): nothing was stored, and `small` will do. */
async function archive(
  deps: WorkerDeps,
  context: JobContext<ArtifactPlan>,
  place: Place,
  deduplicate: CaptureOptions['deduplicate'],
): Promise<ArtifactResult> {
  const { plan } = context;
  const { records } = plan;
  if (records) {
    const packed = await deps.openRecords({ ...plan, records });
    const capture: Work['capture'] = (options) => captureRecords({ packed, ...options });
    return store(deps, context, { ...place, parent: null, leftOut: [], capture });
  }
  const parent = await findParent(deps, place.storage, context);
  try {
    const session = await deps.connect(plan.server, { signal: context.signal });
    try {
      const { service, leftOut } = await withoutDestinations(plan.service, {
        ...{ session, folders: plan.destinationFolders ?? [], signal: context.signal },
        warn: (warning) => context.report.warn(warning),
      });
      const asked = { session, service, parent: parent?.entries ?? null, deduplicate };
      const capture: Work['capture'] = (options) =>
        deps.sourceOf(service.type, plan.server).capture({ ...asked, ...options });
      return await store(deps, context, { ...place, parent, leftOut, capture });
    } finally {
      await session.close();
    }
  } finally {
    await parent?.entries.return(undefined);
  }
}

interface Work extends Place {
  parent: OpenParent | null;
  /** Folders that the capture is not to hold and a restore must not replace, whatever is known of them by then. */
  leftOut: readonly Buffer[];
  capture(options: Pick<CaptureOptions, 'signal' | 'warn' | 'onEntry'>): Promise<Capture>;
}

async function store(
  deps: WorkerDeps,
  { plan, delivery, signal, report, progress, log }: JobContext<ArtifactPlan>,
  { storage, parent, leftOut, capture: begin, name, key, startedAt, ...place }: Work,
): Promise<ArtifactResult> {
  const counts = createEntryCounts();
  const capture = await report.step('scan', `Scanning ${plan.service.name}`, () =>
    begin({
      signal,
      warn: (warning) => report.warn(warning),
      onEntry: (entry) => counts.see(entry),
    }),
  );
  try {
    const { totals } = capture;
    log.info({ ...totals }, 'scan done');
    const pace = createPace(totals.bytes);
    const tell = (phase: string, tarBytes: number): void =>
      progress({
        phase,
        bytesDone: Math.min(tarBytes, totals.bytes),
        bytesTotal: totals.bytes,
        filesDone: counts.files,
        filesTotal: totals.files,
        current: counts.current,
        ...pace.at(tarBytes),
      });
    const meter = createMeter((bytes) => tell('backing_up_files', bytes));
    const ids = { backupId: plan.backupId, artifactId: plan.jobId };
    const beforeCommit = (): Promise<void> => delivery.assertOwned();
    const dataKey = await place.dataKey();
    const members: number[] = [];
    const gzipped = createMeter(() => undefined);
    const stored = await report.step('transfer', `Reading and storing ${plan.service.name}`, async () => {
      const gzip = createMemberStream(
        {
          ...plan.compression,
          codec: deps.codec,
          parallel: deps.parallelBlocks,
          onMember: (offset) => members.push(offset),
        },
        signal,
      );
      const body = encryptOrPass({ dataKey, ids, role: 'archive' }, signal);
      const feeding = pipeline(capture.tar, meter.stream, gzip, gzipped.stream, body, { signal });
      const storing = storage.put(key, body, { signal, sizeHint: totals.bytes, beforeCommit });
      return settleBoth(feeding, storing);
    });
    tell('backing_up_files', meter.bytes());
    const written = await report.step('index', 'Storing the index', () =>
      writeIndex(
        storage,
        {
          ...{ ids, members, parent, dataKey, roots: encodeRootList(capture.roots) },
          unreadable: capture.unreadable()?.concat(leftOut) ?? null,
          key: `${plan.keyPrefix}/${indexObjectName(name)}`,
          own: { ...ids, name, bytes: gzipped.bytes(), blockBytes: BLOCK_BYTES, members: members.length },
          runs: capture.index(),
        },
        { signal, beforeCommit },
      ),
    );
    return {
      kind: 'artifact',
      artifactId: plan.jobId,
      attempt: delivery.attempt,
      key,
      sha256: stored.sha256,
      storedBytes: stored.bytes,
      ...written,
      parent: parent?.ref ?? null,
      tarBytes: meter.bytes(),
      contentBytes: counts.bytes,
      files: counts.files,
      directories: counts.directories,
      otherEntries: counts.other,
      warnings: report.warnings(),
      ...(capture.database ? { database: capture.database() } : {}),
      startedAt,
      endedAt: new Date().toISOString(),
    };
  } finally {
    await capture.close();
  }
}

/** On the worker's own machine not everything may be read, and not everything may be run. */
async function assertAllowed(deps: WorkerDeps, { server, service }: ArtifactPlan): Promise<void> {
  const { configPaths, dataPaths, database, hooks } = service;
  const own = database?.type === 'sqlite' ? [database.path] : [];
  await deps.assertPathsAllowed(server, [...configPaths, ...dataPaths, ...own]);
  if (database || hooks) deps.assertCommandsAllowed(server, service.name);
}

/** Before anything starts: nobody waits for a scan to learn that a key is missing. */
function assertKey({ keyring }: WorkerDeps, { encryption, pool }: ArtifactPlan): void {
  if (encryption === null || keyring.has(encryption.keyName)) return;
  throw new AppError(
    'ENCRYPTION_KEY_NOT_FOUND',
    `This worker of the pool ${pool} has no key ${encryption.keyName}. Add it to its keyring (KEYRING_FILE).`,
  );
}

/** A new key of this archive's own, in the destination before the archive is; null without encryption. */
async function newDataKey(
  { keyring }: WorkerDeps,
  storage: Storage,
  { encryption, backupId, jobId }: ArtifactPlan,
  archiveKey: string,
  signal: AbortSignal,
): Promise<Buffer | null> {
  if (encryption === null) return null;
  const ids = { backupId, artifactId: jobId };
  return storeDataKey(storage, keyring, { archiveKey, keyName: encryption.keyName, ids }, signal);
}

/** Both ends are waited for; the fault of the reading end tells more than the broken pipe it causes at the other. */
async function settleBoth<T>(feeding: Promise<void>, storing: Promise<T>): Promise<T> {
  const [fed, stored] = await Promise.allSettled([feeding, storing]);
  if (fed.status === 'rejected' && !isBrokenPipe(fed.reason)) throw fed.reason;
  if (stored.status === 'rejected') throw stored.reason;
  if (fed.status === 'rejected') throw fed.reason;
  return stored.value;
}

/** ABORT_ERR is how a stream ends whose `for await` was left in the middle: by a full disk, for one. */
function isBrokenPipe(error: unknown): boolean {
  const code = (error as { code?: string } | undefined)?.code ?? '';
  return ['ERR_STREAM_PREMATURE_CLOSE', 'ERR_STREAM_DESTROYED', 'EPIPE', 'ABORT_ERR'].includes(code);
}
