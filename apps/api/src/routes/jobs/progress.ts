import type { Progress } from '@tarfleet/contracts';
import type { Database, JobRecord } from '@tarfleet/db';

/** How far a job is, a backup's artifacts taken together. Bytes, files, bytes a second, seconds. */
export interface ProgressView {
  phase: string;
  percent: number;
  bytes_done: number;
  bytes_total: number | null;
  files_done: number;
  files_total: number | null;
  current: string | null;
  bytes_per_second: number | null;
  seconds_left: number | null;
}

/** How much of a verified backup's way the capture is; reading back and the commit are the rest. */
const CAPTURE_SHARE = 0.75;

export async function readProgress(db: Pick<Database, 'jobs'>, job: JobRecord): Promise<ProgressView> {
  return progressOf(job, job.kind === 'backup' ? await db.jobs.children(job.id) : []);
}

/** The same from what is at hand: a backup's job, and those of its artifacts. */
export function progressOf(job: JobRecord, children: JobRecord[]): ProgressView {
  return job.kind === 'backup' ? together(job, children) : alone(job);
}

function alone(job: JobRecord): ProgressView {
  const progress = job.progress;
  if (job.endedAt !== null) return ended(job, progress);
  if (!progress) return { ...NOTHING, phase: job.state };
  return view(progress, share(progress));
}

function together(job: JobRecord, children: JobRecord[]): ProgressView {
  if (job.endedAt !== null) return ended(job, sum(children));
  if (job.progress && job.state === 'running') {
    const captured = sum(children);
    const done = CAPTURE_SHARE + (1 - CAPTURE_SHARE) * share(job.progress);
    const bytes = { bytesDone: captured?.bytesDone ?? 0, bytesTotal: captured?.bytesTotal ?? null };
    const files = { filesDone: captured?.filesDone ?? 0, filesTotal: captured?.filesTotal ?? null };
    return view({ ...job.progress, ...bytes, ...files }, done);
  }
  const captured = sum(children);
  if (!captured) return { ...NOTHING, phase: job.state };
  return view(captured, share(captured) * CAPTURE_SHARE);
}

/** The artifacts of a backup taken as one; null before any has begun. */
function sum(children: JobRecord[]): Progress | null {
  const parts = children.map((child) => finished(child) ?? child.progress).filter((part) => part !== null);
  const last = parts.at(-1);
  if (!last) return null;
  const running = children.filter((child) => child.endedAt === null).map((child) => child.progress);
  const add = (of: (part: Progress) => number | null): number =>
    parts.reduce((total, part) => total + (of(part) ?? 0), 0);
  const known = parts.length === children.length;
  const rate = running.reduce((total, part) => total + (part?.bytesPerSecond ?? 0), 0);
  const bytesDone = add((part) => part.bytesDone);
  const bytesTotal = known ? add((part) => part.bytesTotal) : null;
  const left = bytesTotal === null ? null : Math.max(0, bytesTotal - bytesDone);
  return {
    ...last,
    phase: 'backing_up_files',
    bytesDone,
    bytesTotal,
    filesDone: add((part) => part.filesDone),
    filesTotal: known ? add((part) => part.filesTotal) : null,
    current: running.find((part) => part?.current)?.current ?? null,
    bytesPerSecond: rate > 0 ? rate : null,
    secondsLeft: left !== null && rate > 0 ? left / rate : null,
  };
}

function finished(child: JobRecord): Progress | null {
  if (child.result?.kind !== 'artifact') return null;
  const { contentBytes, files } = child.result;
  return {
    attempt: child.attempt,
    n: 1,
    phase: 'done',
    bytesDone: contentBytes,
    bytesTotal: contentBytes,
    filesDone: files,
    filesTotal: files,
    current: null,
    bytesPerSecond: null,
    secondsLeft: null,
  };
}

function ended(job: JobRecord, progress: Progress | null): ProgressView {
  const percent =
    job.state === 'completed' || job.state === 'partial' ? 100 : Math.floor(share(progress) * 99);
  const last = progress ? view(progress, 0) : NOTHING;
  return { ...last, phase: job.state, percent, current: null, bytes_per_second: null, seconds_left: null };
}

function share(progress: Progress | null): number {
  if (!progress?.bytesTotal) return 0;
  return Math.min(1, progress.bytesDone / progress.bytesTotal);
}

const NOTHING: ProgressView = {
  phase: 'queued',
  percent: 0,
  bytes_done: 0,
  bytes_total: null,
  files_done: 0,
  files_total: null,
  current: null,
  bytes_per_second: null,
  seconds_left: null,
};

/** Never 100 before the end. */
function view(progress: Progress, done: number): ProgressView {
  return {
    phase: progress.phase,
    percent: Math.min(99, Math.floor(done * 100)),
    bytes_done: progress.bytesDone,
    bytes_total: progress.bytesTotal,
    files_done: progress.filesDone,
    files_total: progress.filesTotal,
    current: progress.current,
    bytes_per_second: progress.bytesPerSecond === null ? null : Math.round(progress.bytesPerSecond),
    seconds_left: progress.secondsLeft === null ? null : Math.ceil(progress.secondsLeft),
  };
}
