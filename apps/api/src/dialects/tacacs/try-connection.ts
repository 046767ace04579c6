import type { DestinationRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import { cancelJob } from '../../cancel.ts';
import { waitForEnd } from '../../live/wait-for-end.ts';
import { actorOf } from '../../plugins/actor.ts';
import type { TacacsDeps } from './deps.ts';

/** How long an answer is held for the test, in milliseconds. */
const MOST_MS = 30_000;

/**
 * Has a worker write, read and remove an object at a destination that is not saved yet. Resolves when all of that went
 * well; rejects with what did not, or UNAVAILABLE when no worker came to an end in time. Nothing is saved here.
 */
export async function tryConnection(
  deps: TacacsDeps,
  request: FastifyRequest,
  destination: DestinationRecord,
  pool?: string,
): Promise<void> {
  // Not the request's own job: that it is asked for again does not depend on this one.
  const caller = { actor: actorOf(request), requestId: request.id };
  const { id } = await deps.jobs.startDestinationTest(destination, caller, pool);
  const gone = new AbortController();
  const leave = (): void => gone.abort();
  request.raw.socket.once('close', leave);
  const job = await waitForEnd(deps, id, MOST_MS, gone.signal).finally(() =>
    request.raw.socket.off('close', leave),
  );
  if (job.endedAt === null) {
    await cancelJob(deps.cancel, job, 'Nobody waits for it any more.');
    throw new AppError(
      'UNAVAILABLE',
      `The connection test did not end within ${MOST_MS / 1000} seconds, so nothing was saved. See whether a worker of the pool ${job.pool} runs (GET /api/workers), or send test_connection: false.`,
      { details: { job_id: id } },
    );
  }
  const result = job.result?.kind === 'destination-test' ? job.result : null;
  const failure = job.failure ?? result?.failure;
  if (!failure && result?.reachable && result.writable) return;
  const { code, message } = failure ?? {
    ...({ code: 'DESTINATION_READ_ONLY', message: 'Nothing can be written there.' } as const),
  };
  throw new AppError(code, `Connection test failed, nothing was saved: ${message}`, {
    details: { job_id: id, reachable: result?.reachable ?? false, writable: result?.writable ?? false },
  });
}
