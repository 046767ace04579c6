import type { RewrapScope } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyBaseLogger } from 'fastify';
import { assertKeyShared, primaryKeyOf } from '../../planner/encryption-keys.ts';
import { planRewrap } from '../../planner/rewrap.ts';
import type { RunDeps } from './deps.ts';

/** Jobs that one request starts. */
const MOST_STARTED = 100;
/** Backups that one request looks at. */
const MOST_SEEN = 1000;
const REFUSED_SHOWN = 20;
const PAGE = 50;

export interface RewrapsRequest {
  /** Null: of all projects. */
  projectId: number | null;
  /** Null: for each pool its primary key. */
  keyName: string | null;
  userId: string;
  requestId: string;
}

export interface StartedRewraps {
  /** Those just started. */
  jobs: { backup_id: string; job_id: string }[];
  /** Under way now, those just started too. */
  running: number;
  /** Neither wrapped with the wanted key alone nor under way. */
  remaining: number;
  keyNames: string[];
  /** What could not be started, the first few. */
  refused: { backup_id: string; code: string; message: string }[];
}

type Deps = Pick<RunDeps, 'db' | 'keys' | 'dispatcher'> & { logger: FastifyBaseLogger };

/** Starts a job for each backup that is not wrapped with the wanted key alone, up to a bound. ENCRYPTION_KEY_NOT_FOUND before anything is started. */
export async function startRewraps(deps: Deps, request: RewrapsRequest): Promise<StartedRewraps> {
  const { db } = deps;
  const { projectId } = request;
  const scopes: RewrapScope[] = [];
  for (const pool of await db.rewraps.pools(projectId)) {
    const keyName = request.keyName ?? (await primaryKeyOf(db, pool));
    await assertKeyShared(db, pool, keyName);
    scopes.push({ projectId, pool, keyName });
  }
  const refused: StartedRewraps['refused'] = [];
  const jobs: StartedRewraps['jobs'] = [];
  let seen = 0;
  for (const scope of scopes) {
    let after: string | null = null;
    while (jobs.length < MOST_STARTED && seen < MOST_SEEN) {
      const ids: string[] = await db.rewraps.due(scope, {
        after,
        limit: Math.min(PAGE, MOST_STARTED - jobs.length),
      });
      for (const id of ids) {
        const begun = await start(deps, request, scope, id);
        if (!(begun instanceof AppError)) jobs.push({ backup_id: id, job_id: begun });
        else if (refused.length < REFUSED_SHOWN) {
          refused.push({ backup_id: id, code: begun.code, message: begun.message });
        }
      }
      seen += ids.length;
      after = ids.at(-1) ?? null;
      if (after === null) break;
    }
  }
  const counts = { running: 0, remaining: 0 };
  for (const scope of scopes) {
    const { running, remaining } = await db.rewraps.count(scope);
    counts.running += running;
    counts.remaining += remaining;
  }
  return { jobs, ...counts, keyNames: [...new Set(scopes.map(({ keyName }) => keyName))], refused };
}

/** Gives the job's id, or why there is none. One that cannot be started must not stand in the way of the rest; a database that is down does. */
async function start(
  deps: Deps,
  { userId, requestId }: RewrapsRequest,
  { keyName }: RewrapScope,
  id: string,
): Promise<string | AppError> {
  const backup = await deps.db.backups.get(id);
  if (!backup) return new AppError('BACKUP_NOT_FOUND', `There is no backup ${id}.`);
  try {
    const { draft } = await planRewrap(deps, { backup, userId, requestId, keyName });
    await deps.dispatcher.submit(draft);
    return draft.root.id;
  } catch (error) {
    if (!(error instanceof AppError) || error.code === 'UNAVAILABLE') throw error;
    deps.logger.warn({ err: error, backupId: id }, 'change of keys not started');
    return error;
  }
}
