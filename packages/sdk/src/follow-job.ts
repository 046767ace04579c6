import { createDeadline, pause } from './deadline.ts';
import type { Http } from './http.ts';
import { firstPlace, readJobEvents } from './job-events.ts';
import { TarfleetError } from './tarfleet-error.ts';
import type { Job, JobShown, Progress } from './types.ts';

/** How a job is waited for; times in milliseconds. */
export interface WaitOptions {
  /** Told each time that something has changed. What it throws ends the wait. */
  onProgress?: (progress: Progress) => void;
  signal?: AbortSignal;
  /** For the whole wait; left out, as long as the job takes. Then TIMED_OUT; the job goes on. */
  timeoutMs?: number;
  /** Between two looks where events cannot be had; 2000 when left out. */
  pollMs?: number;
  /** For how long the API may be away before that is an error; 5 minutes when left out. */
  patienceMs?: number;
}

/** Streams that ended without a word, one after the other, before looks take their place. */
const MUTE_STREAMS = 3;
const POLL_MS = 2_000;
const PATIENCE_MS = 5 * 60_000;

/**
 * The job when it has ended, well or not. Its events tell when; where they cannot be had (a proxy that holds them back,
 * an old browser), or break off again and again, it is looked at instead. A broken stream goes on where it was.
 */
export async function followJob(http: Http, jobId: string, options: WaitOptions): Promise<Job> {
  const { timeoutMs } = options;
  const deadline = createDeadline(options.signal, timeoutMs);
  try {
    return await follow(http, jobId, { ...options, signal: deadline.signal });
  } catch (error) {
    if (options.signal?.aborted || !deadline.timedOut()) throw error;
    throw new TarfleetError({
      ...{ code: 'TIMED_OUT', message: `The job ${jobId} has not ended within ${timeoutMs} ms.` },
      details: { job_id: jobId },
    });
  } finally {
    deadline.end();
  }
}

async function follow(
  http: Http,
  jobId: string,
  options: WaitOptions & { signal: AbortSignal },
): Promise<Job> {
  const { signal, pollMs = POLL_MS, patienceMs = PATIENCE_MS } = options;
  const tell = tellChanges(options.onProgress);
  const place = firstPlace();
  let awaySince: number | null = null;
  for (;;) {
    const streaming = place.mute < MUTE_STREAMS;
    if (streaming) {
      for await (const { type, data } of readJobEvents(http, jobId, place, signal)) {
        if (type === 'progress') tell(JSON.parse(data));
        if (type === 'end') break;
      }
    }
    const job = await look(http, jobId, signal);
    if (job instanceof TarfleetError) {
      awaySince ??= Date.now();
      if (Date.now() - awaySince > patienceMs) throw job;
    } else {
      awaySince = null;
      tell(job.progress);
      if (job.ended_at !== null) return job;
    }
    await pause(streaming ? Math.min(place.pauseMs, pollMs) : pollMs, signal);
  }
}

/** The job, or why it cannot be seen just now. */
async function look(http: Http, jobId: string, signal: AbortSignal): Promise<Job | TarfleetError> {
  try {
    const { data } = await http.json<JobShown>({
      ...{ method: 'GET', path: `/api/jobs/${encodeURIComponent(jobId)}`, signal },
    });
    return data;
  } catch (error) {
    if (error instanceof TarfleetError && error.transient) return error;
    throw error;
  }
}

function tellChanges(onProgress: WaitOptions['onProgress']): (progress: Progress) => void {
  let last = '';
  return (progress) => {
    const text = JSON.stringify(progress);
    if (text === last) return;
    last = text;
    onProgress?.(progress);
  };
}
