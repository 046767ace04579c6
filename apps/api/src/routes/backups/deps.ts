import type { Database } from '@tarfleet/db';
import type { FastifyRequest } from 'fastify';
import type { Dispatcher } from '../../dispatcher.ts';
import type { LiveHub } from '../../live/hub.ts';
import { waitForEnd } from '../../live/wait-for-end.ts';
import type { PlanKeys } from '../../planner/targets.ts';
import type { Access } from '../../plugins/access.ts';

/** What the routes of backups and restores stand on. */
export interface RunDeps {
  db: Database;
  access: Access;
  dispatcher: Dispatcher;
  keys: PlanKeys;
  hub: LiveHub;
}

/** The job after the client's preferred wait, or null when it did not ask to wait. */
export async function waitAsPreferred(
  deps: RunDeps,
  request: FastifyRequest,
  jobId: string,
  waitSeconds: number,
) {
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
