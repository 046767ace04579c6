import type {
  DestinationTarget,
  DestinationType,
  JumpTarget,
  SealedBox,
  ServerTarget,
  ServiceTarget,
} from '@tarfleet/contracts';
import type { DestinationRecord, Repositories, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import {
  destinationAad,
  destinationSecretsInfo,
  type PoolPublicKey,
  type SecretBox,
  sealFor,
} from '@tarfleet/vault';
import { toDatabaseTarget, toHooks } from './database-target.ts';

/** What plans are made with. */
export interface PlanKeys {
  box: SecretBox;
  pools: ReadonlyMap<string, PoolPublicKey>;
}

/** The server as a worker sees it: its jump host too, credentials still sealed. */
export async function toServerTarget(
  repositories: Pick<Repositories, 'servers'>,
  server: ServerRecord,
): Promise<ServerTarget> {
  if (server.kind === 'local') {
    const { id, projectId, name, pool } = server;
    return { id, projectId, name, pool, kind: 'local' };
  }
  const jump = server.jumpId === null ? null : await repositories.servers.get(server.jumpId);
  return { ...toSsh(server), jump: jump ? toSsh(jump) : null };
}

function toSsh(server: ServerRecord): JumpTarget {
  const { host, port, username, sealed } = server;
  if (host === null || port === null || username === null || sealed === null) {
    throw new AppError(
      'CREDENTIALS_REQUIRED',
      `The server ${server.name} has no credentials. Give them with PATCH /api/servers/${server.id}.`,
    );
  }
  return {
    id: server.id,
    projectId: server.projectId,
    name: server.name,
    kind: 'ssh',
    pool: server.pool,
    host,
    port,
    username,
    hostKey: server.hostKeyFingerprint,
    become: server.becomeMethod === 'sudo' ? 'sudo' : null,
    secrets: sealed as SealedBox,
  };
}

/** A job other than the first test must not meet a host whose key nobody has seen. */
export function assertPinned(target: ServerTarget): void {
  if (target.kind === 'local') return;
  for (const server of [target, target.jump]) {
    if (!server || server.hostKey !== null) continue;
    throw new AppError(
      'HOST_KEY_NOT_PINNED',
      `The host key of ${server.name} is not known yet. Run POST /api/servers/${server.id}/test, or set host_key_fingerprint.`,
    );
  }
}

/** What is captured: its database, or by the source `files` its paths, whatever runs the service. */
export function toServiceTarget(service: ServiceRecord, server: ServerRecord): ServiceTarget {
  const { id, name, component, configPaths, dataPaths, exclude } = service;
  const database = toDatabaseTarget(service, server);
  const hooks = toHooks(service);
  return {
    ...{ id, name, type: database?.type ?? 'files', component, configPaths, dataPaths, exclude },
    ...(database ? { database } : {}),
    ...(hooks ? { hooks } : {}),
  };
}

/** The destination for one pool's workers: its secrets are sealed for them alone. */
export async function toDestinationTarget(
  keys: PlanKeys,
  destination: DestinationRecord,
  pool: string,
): Promise<DestinationTarget> {
  const { id, name, config } = destination;
  const type = destination.type as DestinationType;
  if (type === 'local') return { id, name, type, config: config as { path: string } };
  const open =
    destination.secretCiphertext === null
      ? {}
      : (keys.box.open(destinationAad(id), destination.secretCiphertext) as object);
  const info = destinationSecretsInfo({ destinationId: id, pool });
  const secrets = await sealFor(poolKey(keys, pool), info, open);
  // The config was checked against its type's schema when it was stored, and is again where the plan is read.
  return { id, name, type, config, secrets } as DestinationTarget;
}

export function poolKey(keys: PlanKeys, pool: string): PoolPublicKey {
  const key = keys.pools.get(pool);
  if (key) return key;
  throw new AppError(
    'POOL_NOT_FOUND',
    `There is no pool named ${pool}. Known pools: ${[...keys.pools.keys()].join(', ')}.`,
  );
}
