import type { NewServer, ServerRecord } from '@tarfleet/db';
import { AppError, toFailure } from '@tarfleet/kernel';
import type { FastifyBaseLogger } from 'fastify';
import type { AppDeps } from '../../deps.ts';
import type { Caller } from '../../jobs-port.ts';
import { poolKey } from '../../planner/targets.ts';
import { type Access, forbidden, notFound } from '../../plugins/access.ts';
import { reaches } from '../../plugins/actor.ts';
import { checkJump } from './check-jump.ts';
import type { LocalServer, NewServerBody, SshServer } from './schemas.ts';
import { sealSecrets } from './seal-secrets.ts';

const DEFAULT_POOL = 'default';

export interface NewlyMade {
  server: ServerRecord;
  /** Null for a local server, and when the test could not be started. */
  testJobId: string | null;
  /** Why it could not. */
  testError: string | null;
}

/** Stores a server and, over ssh, starts its first test, which pins the host key and finds its tools. */
export async function createServer(
  deps: Pick<AppDeps, 'db' | 'vault' | 'jobs' | 'config'> & { access: Access; log: FastifyBaseLogger },
  caller: Caller,
  body: NewServerBody,
): Promise<NewlyMade> {
  const { db, access, jobs, log } = deps;
  const projectId = body.project_id ?? (await db.projects.ensureDefault()).id;
  await access.require(caller.actor, projectId, 'operator', notFound('project'));
  if (!(await db.projects.get(projectId))) throw notFound('project');

  const draft =
    body.kind === 'local'
      ? localServer(deps, caller, projectId, body)
      : await sshServer(deps, projectId, body);
  const server = await db.servers.create(draft);
  if (server.kind === 'local') return { server, testJobId: null, testError: null };
  try {
    return { server, testJobId: (await jobs.startServerTest(server, caller)).id, testError: null };
  } catch (error) {
    // The server is stored, and saying otherwise would be wrong: the test can be started by hand.
    log.warn({ err: error, serverId: server.id }, 'first test not started');
    const testError = toFailure(error).message;
    return { server, testJobId: null, testError };
  }
}

function localServer(
  { config, vault }: Pick<AppDeps, 'config' | 'vault'>,
  { actor }: Caller,
  projectId: number,
  body: LocalServer,
): NewServer {
  if (!reaches(actor.role, 'admin')) throw forbidden('admin');
  if (!config.LOCAL_ALLOWED) {
    throw new AppError(
      'LOCAL_NOT_ALLOWED',
      'Servers of kind local are switched off here; LOCAL_ALLOWED=true in the API’s environment allows them.',
    );
  }
  const pool = body.pool ?? DEFAULT_POOL;
  poolKey(vault, pool);
  return {
    projectId,
    pool,
    name: body.name,
    kind: 'local',
    authType: 'none',
    host: null,
    port: null,
    username: null,
    hostKeyFingerprint: null,
    becomeMethod: null,
    jumpId: null,
    sealed: null,
    environment: body.environment ?? null,
  };
}

async function sshServer(
  { db, vault }: Pick<AppDeps, 'db' | 'vault'>,
  projectId: number,
  body: SshServer,
): Promise<NewServer> {
  const { name, host, port, username, auth, become, jump, pool = DEFAULT_POOL } = body;
  poolKey(vault, pool);
  if (jump !== undefined) await checkJump(db, { id: null, projectId, pool }, jump);
  const place = { pool, projectId, host, port };
  return {
    projectId,
    pool,
    name,
    kind: 'ssh',
    host,
    port,
    username,
    authType: auth.type,
    hostKeyFingerprint: body.host_key_fingerprint ?? null,
    becomeMethod: become?.method ?? null,
    jumpId: jump ?? null,
    sealed: await sealSecrets(vault, place, { auth, becomePassword: become?.password }),
    environment: body.environment ?? null,
  };
}
