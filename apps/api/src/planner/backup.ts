import { isDeepStrictEqual } from 'node:util';
import { type ArtifactPlan, type BackupPlan, type BackupType, PLAN_VERSION } from '@tarfleet/contracts';
import type { Database, DestinationRecord, Repositories, ServerRecord, ServiceRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { primaryKeyOf } from './encryption-keys.ts';
import { toJobDraft } from './job-draft.ts';
import { type ChosenParent, chooseParent, referToParents } from './parents.ts';
import {
  assertPinned,
  type PlanKeys,
  poolKey,
  toDestinationTarget,
  toServerTarget,
  toServiceTarget,
} from './targets.ts';

/** As document 2 has it. */
const DEFAULT_RETENTION_DAYS = 90;

/** What a backup request comes to, whichever document it was written by. */
export interface BackupRequest {
  projectId: number;
  userId: string;
  requestId: string;
  dialect: string;
  type: BackupType;
  name: string | null;
  description: string | null;
  /** Null: every component. */
  components: string[] | null;
  /** Ids or names; null: every service. */
  services: string[] | null;
  serverId: string | null;
  /** Null: the default destination. */
  destinationId: string | null;
  /** Null: what destination and policies make of it. */
  retentionDays: number | null;
  verify: boolean;
  compression: { enabled: boolean; level: number };
  deduplicate: boolean;
  encrypt: boolean;
  warnings: string[];
}

interface Chosen {
  service: ServiceRecord;
  server: ServerRecord;
}

/** Resolves a request to one plan for each service and one for the parent that closes the backup. */
export async function planBackup(
  deps: { db: Database; keys: PlanKeys },
  request: BackupRequest,
): Promise<RunDraft> {
  const { db, keys } = deps;
  const chosen = await chooseServices(db, request);
  const destination = request.destinationId
    ? await db.destinations.get(request.destinationId)
    : await db.destinations.getDefault();
  if (!destination) {
    // A fault of the request: DESTINATION_NOT_FOUND is what a worker says of a folder or bucket that is missing.
    throw new AppError(
      'NOT_FOUND',
      request.destinationId
        ? `There is no destination ${request.destinationId}.`
        : 'No destination is the default one. Set is_default on one, or name it by destination_id.',
    );
  }
  const backupId = uuidv7();
  const issuedAt = new Date().toISOString();
  const keyPrefix = `project-${request.projectId}/${issuedAt.slice(0, 10)}/${backupId}`;
  const base = {
    v: PLAN_VERSION,
    projectId: request.projectId,
    requestId: request.requestId,
    issuedAt,
  } as const;
  const compression = request.compression;

  const encryption = new Map<string, ArtifactPlan['encryption']>();
  for (const pool of new Set(chosen.map(({ server }) => server.pool))) {
    poolKey(keys, pool);
    encryption.set(pool, request.encrypt ? { keyName: await primaryKeyOf(db, pool) } : null);
  }
  const artifacts: ArtifactPlan[] = [];
  const parents = new Map<string, ChosenParent>();
  const warnings = [...request.warnings];
  for (const { server, service } of chosen) {
    const target = await toServerTarget(db, server);
    assertPinned(target);
    const artifactId = uuidv7();
    const chosenParent = await chooseParent(db, {
      ...{ type: request.type, projectId: request.projectId, destinationId: destination.id },
      service: toServiceTarget(service),
      encryption: encryption.get(server.pool) ?? null,
      warn: (message) => warnings.push(message),
    });
    if (chosenParent) parents.set(artifactId, chosenParent);
    artifacts.push({
      ...base,
      kind: 'artifact',
      jobId: artifactId,
      parent: chosenParent?.plan ?? null,
      pool: server.pool,
      backupId,
      server: target,
      service: toServiceTarget(service),
      destination: await toDestinationTarget(keys, destination, server.pool),
      keyPrefix,
      compression,
      deduplicate: request.deduplicate,
      encryption: encryption.get(server.pool) ?? null,
    });
  }
  const first = artifacts[0];
  if (!first) throw new TypeError('chooseServices gives at least one service');
  const backupType = parents.size > 0 ? request.type : 'full';
  const parent: BackupPlan = {
    ...base,
    kind: 'backup',
    jobId: backupId,
    pool: first.pool,
    backupType,
    name: request.name,
    createdAt: issuedAt,
    destination: await toDestinationTarget(keys, destination, first.pool),
    keyPrefix,
    verify: request.verify,
    compression,
    encryption: first.encryption,
    artifacts: artifacts.map(({ jobId, pool, server, service }) => ({
      jobId,
      pool,
      service,
      serverId: server.id,
      serverName: server.name,
    })),
  };
  const origin = { userId: request.userId, backupId };
  return {
    root: toJobDraft(parent, origin),
    children: artifacts.map((plan) => toJobDraft(plan, { ...origin, parentId: backupId })),
    leases: artifacts.map(({ service }) => service.id),
    record: async (tx) => {
      await tx.backups.create({
        id: backupId,
        projectId: request.projectId,
        createdBy: request.userId,
        name: request.name,
        description: request.description,
        type: backupType,
        dialect: request.dialect,
        keyPrefix,
        compressed: compression.enabled,
        compressionLevel: compression.enabled ? compression.level : null,
        deduplicated: request.deduplicate,
        verifyRequested: request.verify,
        encrypted: request.encrypt,
        encryptionKeys: [...new Set([...encryption.values()].flatMap((one) => one?.keyName ?? []))],
        retentionDays: request.retentionDays ?? (await defaultDays(tx, request.projectId, destination)),
        warnings,
        createdAt: new Date(issuedAt),
        destinationId: destination.id,
        artifacts: artifacts.map(({ jobId, server, service }) => ({
          id: jobId,
          serverId: server.id,
          serverName: server.name,
          serviceId: service.id,
          serviceName: service.name,
          component: service.component,
          paths: [...service.configPaths, ...service.dataPaths],
          exclude: service.exclude,
          parentId: parents.get(jobId)?.plan.artifactId ?? null,
          chainBegunAt: parents.get(jobId)?.chainBegunAt ?? null,
        })),
      });
      await referToParents(tx, parents);
      // The new row keeps the destination as it is until the commit; before it, somebody may have moved it.
      const now = await tx.destinations.get(destination.id);
      if (isDeepStrictEqual(now?.config, destination.config)) return;
      throw new AppError(
        'CONFLICT',
        `The destination ${destination.name} was changed at this moment. Send the request again.`,
      );
    },
  };
}

/** Null where a policy rules: then that alone says how long. */
async function defaultDays(
  tx: Repositories,
  projectId: number,
  destination: DestinationRecord,
): Promise<number | null> {
  if (destination.retentionDays !== null) return destination.retentionDays;
  const { retention } = (await tx.projects.get(projectId)) ?? { retention: null };
  return (retention ?? destination.retention) ? null : DEFAULT_RETENTION_DAYS;
}

async function chooseServices(db: Database, request: BackupRequest): Promise<Chosen[]> {
  // What a fault names of the rest is looked for in all of them.
  const narrow = request.components === null && request.services !== null;
  const all = await db.services.ofProject(
    request.projectId,
    ...(narrow && request.services ? [request.services] : []),
  );
  const inServer = all.filter(({ server }) => request.serverId === null || server.id === request.serverId);
  if (request.serverId !== null && !all.some(({ server }) => server.id === request.serverId)) {
    const server = await db.servers.get(request.serverId);
    if (server?.projectId !== request.projectId) {
      throw new AppError('NOT_FOUND', `There is no server ${request.serverId} in this project.`);
    }
  }
  const { components, services } = request;
  const unknown = (components ?? []).filter(
    (name) => !inServer.some(({ service }) => service.component === name),
  );
  if (unknown.length > 0) {
    const known = [...new Set(inServer.map(({ service }) => service.component))].join(', ') || 'none';
    throw new AppError(
      'COMPONENT_NOT_FOUND',
      `No service has the component ${unknown.join(', ')}. Components here: ${known}.`,
      { details: { components: unknown } },
    );
  }
  const strange = (services ?? []).filter(
    (wanted) => !inServer.some(({ service }) => service.id === wanted || service.name === wanted),
  );
  if (strange.length > 0) {
    throw new AppError('NOT_FOUND', `There is no service ${strange.join(', ')} here.`, {
      details: { services: strange },
    });
  }
  const chosen = inServer.filter(
    ({ service }) =>
      (components === null || components.includes(service.component)) &&
      (services === null || services.includes(service.id) || services.includes(service.name)),
  );
  if (chosen.length === 0) {
    throw new AppError(
      'NOTHING_TO_BACK_UP',
      'No service is configured that this backup could hold. Add one with POST /api/servers/{id}/services.',
    );
  }
  return chosen;
}
