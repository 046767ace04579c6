import { PassThrough } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { artifactObjectName, createMemberStream, type TarEntry } from '@tarfleet/archive';
import type { ArtifactPlan, ArtifactResult } from '@tarfleet/contracts';
import type { Processor } from '../job-context.ts';
import { createMeter } from '../jobs/meter.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { WorkerDeps } from '../worker-deps.ts';

/** One service into one archive: server, tar, gzip members, destination, with nothing staged in between. */
export function createArtifactProcessor(deps: WorkerDeps): Processor<ArtifactPlan> {
  return async ({ plan, delivery, signal, report, progress, log }) => {
    const startedAt = new Date().toISOString();
    const { service } = plan;
    await deps.assertPathsAllowed(plan.server, [...service.configPaths, ...service.dataPaths]);
    const session = await deps.connect(plan.server, { signal });
    try {
      const counts = createCounts();
      const capture = await report.step('scan', `Scanning ${service.name}`, () =>
        deps.sourceOf(service.type).capture({
          session,
          service,
          signal,
          warn: (warning) => report.warn(warning),
          onEntry: (entry) => counts.see(entry),
        }),
      );
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
      const key = `${plan.keyPrefix}/${artifactObjectName(plan.jobId, delivery.attempt, delivery.token)}`;
      const stored = await report.step('transfer', `Reading and storing ${service.name}`, () =>
        withStorage(deps, plan.destination, async (storage) => {
          const members = createMemberStream({ ...plan.compression, parallel: deps.parallelBlocks }, signal);
          const body = new PassThrough();
          const feeding = pipeline(capture.tar, meter.stream, members, body, { signal });
          const storing = storage.put(key, body, {
            signal,
            sizeHint: totals.bytes,
            beforeCommit: () => delivery.assertOwned(),
          });
          return settleBoth(feeding, storing);
        }),
      );
      tell('backing_up_files', meter.bytes());
      const result: ArtifactResult = {
        kind: 'artifact',
        artifactId: plan.jobId,
        attempt: delivery.attempt,
        key,
        sha256: stored.sha256,
        storedBytes: stored.bytes,
        tarBytes: meter.bytes(),
        contentBytes: counts.bytes,
        files: counts.files,
        directories: counts.directories,
        otherEntries: counts.other,
        warnings: report.warnings(),
        startedAt,
        endedAt: new Date().toISOString(),
      };
      return { state: 'completed', result };
    } finally {
      await session.close();
    }
  };
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

function createCounts() {
  const counts = {
    files: 0,
    directories: 0,
    other: 0,
    bytes: 0,
    current: null as string | null,
    see(entry: TarEntry): void {
      counts.current = `/${entry.path.toString('utf8')}`;
      if (entry.type === 'file') {
        counts.files += 1;
        counts.bytes += entry.size;
      } else if (entry.type === 'hardlink') counts.files += 1;
      else if (entry.type === 'directory') counts.directories += 1;
      else counts.other += 1;
    },
  };
  return counts;
}
