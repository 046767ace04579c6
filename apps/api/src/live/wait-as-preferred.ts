import type { Database, JobRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import type { LiveHub } from './hub.ts';
import { waitForEnd } from './wait-for-end.ts';

/**
 * The job after the client's preferred wait, or null when it did not ask to wait. The job counts as accepted from
 * here on at the latest: every answer names it.
 */
export async function waitAsPreferred(
  deps: { db: Pick<Database, 'jobs'>; hub: LiveHub },
  request: FastifyRequest,
  jobId: string,
  waitSeconds: number,
): Promise<JobRecord | null> {
  request.acceptedJob = jobId;
  if (waitSeconds === 0) return null;
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  request.raw.socket.once('close', leave);
  try {
    return await waitForEnd(deps, jobId, waitSeconds * 1000, gone.signal);
  } finally {
    request.raw.socket.off('close', leave);
  }
}

/** An answer that was waited for is the job's own failure where it failed. */
export function assertNotFailed(job: JobRecord | null, details?: object): void {
  if (!job?.failure || job.endedAt === null) return;
  throw new AppError(job.failure.code, job.failure.message, details ? { details } : {});
}
