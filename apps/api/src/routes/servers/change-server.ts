import type { Repositories, ServerChanges, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { AppDeps } from '../../deps.ts';
import { type PlanKeys, poolKey } from '../../planner/targets.ts';
import { notFound } from '../../plugins/access.ts';
import { type Fault, invalid } from '../../plugins/faults.ts';
import { checkJump, checkUsedAsJump } from './check-jump.ts';
import type { ServerChangesBody } from './schemas.ts';
import { sealSecrets } from './seal-secrets.ts';

/**
 * Carries out a PATCH. Credentials are sealed as one, for one pool, project, host and port, and the API cannot
 * open them: a change of any of these needs them again, whole.
 */
export async function changeServer(
  { db, vault }: Pick<AppDeps, 'db' | 'vault'>,
  id: string,
  body: ServerChangesBody,
): Promise<ServerRecord> {
  return db.transaction(async (tx) => {
    const server = await tx.servers.lock(id);
    const changed = server && (await tx.servers.update(id, await changesOf(tx, vault, server, body)));
    if (!changed) throw notFound('server');
    return changed;
  });
}

async function changesOf(
  db: Pick<Repositories, 'servers'>,
  vault: PlanKeys,
  server: ServerRecord,
  body: ServerChangesBody,
): Promise<ServerChanges> {
  const labels = {
    ...(body.name === undefined ? {} : { name: body.name }),
    ...(body.environment === undefined ? {} : { environment: body.environment }),
  };
  const pool = body.pool ?? server.pool;
  const movedPool = pool !== server.pool;
  if (movedPool) poolKey(vault, pool);
  if (server.kind === 'local') {
    assertLocalFields(body);
    return { ...labels, pool };
  }
  const host = body.host ?? server.host ?? '';
  const port = body.port ?? server.port ?? 22;
  const moved = host !== server.host || port !== server.port;
  assertCredentials(server, body, moved || movedPool);

  const jumpId = body.jump === undefined ? server.jumpId : body.jump;
  if (jumpId !== null && (movedPool || body.jump !== undefined)) {
    await checkJump(db, { id: server.id, projectId: server.projectId, pool }, jumpId);
  }
  if (jumpId !== null && server.jumpId === null) await checkUsedAsJump(db, server, 'jump');
  if (movedPool) await checkUsedAsJump(db, server, 'pool');

  const place = { pool, projectId: server.projectId, host, port };
  const secrets = body.auth && { auth: body.auth, becomePassword: body.become?.password };
  return {
    ...labels,
    ...fingerprint(body, moved),
    ...(body.username === undefined ? {} : { username: body.username }),
    ...(body.become === undefined ? {} : { becomeMethod: body.become?.method ?? null }),
    ...(secrets ? { authType: secrets.auth.type, sealed: await sealSecrets(vault, place, secrets) } : {}),
    host,
    port,
    pool,
    jumpId,
  };
}

/** A pinned key belongs to the host that showed it. */
function fingerprint(body: ServerChangesBody, moved: boolean): ServerChanges {
  if (body.host_key_fingerprint !== undefined) return { hostKeyFingerprint: body.host_key_fingerprint };
  return moved ? { hostKeyFingerprint: null } : {};
}

function assertCredentials(server: ServerRecord, body: ServerChangesBody, moved: boolean): void {
  if (moved && !body.auth) {
    throw new AppError(
      'CREDENTIALS_REQUIRED',
      'Credentials are bound to host, port and pool: give `auth` (and `become`, with its password) again.',
    );
  }
  if (body.become?.password !== undefined && !body.auth) {
    throw new AppError(
      'CREDENTIALS_REQUIRED',
      'The password of `become` is sealed together with `auth`: give both again.',
    );
  }
  // The old box goes, and the sudo password in it would be lost without a word.
  if (body.auth && server.becomeMethod !== null && body.become === undefined) {
    throw new AppError(
      'CREDENTIALS_REQUIRED',
      'With new `auth` also give `become` again (with its password, if sudo asks for one), or null for none.',
    );
  }
}

function assertLocalFields(body: ServerChangesBody): void {
  const { name: _name, pool: _pool, environment: _environment, ...rest } = body;
  const faults: Fault[] = Object.keys(rest).map((field) => ({
    path: `body/${field}`,
    message: 'does not apply to a local server',
  }));
  if (faults.length > 0) throw invalid(faults);
}
