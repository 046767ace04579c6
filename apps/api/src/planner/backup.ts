import { isDeepStrictEqual } from 'node:util';
import {
  type ArtifactPlan,
  type BackupPlan,
  type BackupType,
  PLAN_VERSION,
  type ServiceTarget,
} from '@tarfleet/contracts';
import type { ArtifactDraft, BackupDraft, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { chooseDestinations } from './choose-destinations.ts';
import { chooseServices } from './choose-services.ts';
import { defaultDays } from './default-days.ts';
import { assertNoneCaptured, foldersOn, planned } from './destination-folders.ts';
import { primaryKeyOf } from './encryption-keys.ts';
import { toJobDraft } from './job-draft.ts';
import { type ChosenParent, chooseParent, referToParents } from './parents.ts';
import { planRecords, recordsArtifact } from './records/plan-records.ts';
import {
  assertPinned,
  type PlanKeys,
  poolKey,
  toDestinationTarget,
  toServerTarget,
  toServiceTarget,
} from './targets.ts';

/** What a backup request comes to, whichever document it was written by. */
export interface BackupRequest {
  projectId: number;
  /** Null: a schedule's. */
  userId: string | null;
  scheduleId: string | null;
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
  /** Destinations that get a copy; left out, none. */
  copyTo?: readonly string[];
  /** Null: what destination and policies make of it. */
  retentionDays: number | null;
  /** For how many days it is kept where nobody says; null: until somebody deletes it. Left out, 90. */
  fallbackDays?: number | null;
  /** Left out, what schedules make is automatic. */
  automatic?: boolean;
  verify: boolean;
  compression: { enabled: boolean; level: number };
  deduplicate: boolean;
  encrypt: boolean;
  warnings: string[];
  /** Who is to be told of its end, beside the project's webhooks. */
  notification?: BackupDraft['notification'];
  /** Whether the project's own records are part of it: it is then a backup of the whole project. */
  records?: boolean;
  /** Why it is made, where neither a request nor a schedule asked for it by itself. */
  occasion?: BackupDraft['occasion'];
}

/**
 * Resolves a request to one plan for each service and one for the parent that closes the backup. Reads alone, so `db`
 * may be a transaction.
 */
export async function planBackup(
  deps: { db: Repositories; keys: PlanKeys },
  request: BackupRequest,
): Promise<RunDraft> {
  const { db, keys } = deps;
  const chosen = await chooseServices(db, request);
  const { main: destination, copies } = await chooseDestinations(db, request);
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
  const destinations = await db.destinations.all();
  const holdsBackups = await db.destinations.holdsBackups(destination.id);
  const artifacts: ArtifactPlan[] = [];
  const parents = new Map<string, ChosenParent>();
  const warnings = [...request.warnings];
  for (const { server, service } of chosen) {
    const target = await toServerTarget(db, server);
    assertPinned(target);
    const folders = foldersOn(server, destinations);
    assertNoneCaptured(service.name, [...service.configPaths, ...service.dataPaths], folders);
    const artifactId = uuidv7();
    const captured = await ofProject(db, request, toServiceTarget(service, server));
    const chosenParent = await chooseParent(db, {
      ...{ type: request.type, projectId: request.projectId, destinationId: destination.id },
      service: captured,
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
      service: captured,
      destination: await toDestinationTarget(keys, destination, server.pool),
      keyPrefix,
      compression,
      deduplicate: request.deduplicate,
      encryption: encryption.get(server.pool) ?? null,
      ...planned(folders),
      ...(holdsBackups ? { holdsBackups } : {}),
    });
  }
  const first = artifacts[0];
  if (!first) throw new TypeError('chooseServices gives at least one service');
  const backupType = parents.size > 0 ? request.type : 'full';
  const records = request.records
    ? await planRecords(deps, {
        like: first,
        automatic: request.automatic ?? request.scheduleId !== null,
        warn: (message) => warnings.push(message),
      })
    : null;
  const all = records ? [...artifacts, records.plan] : artifacts;
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
    artifacts: all.map(({ jobId, pool, server, service }) => ({
      jobId,
      pool,
      service: withoutOrders(service),
      serverId: server.id,
      serverName: server.name,
    })),
  };
  const origin = { userId: request.userId, backupId };
  return {
    root: toJobDraft(parent, origin),
    children: all.map((plan) => toJobDraft(plan, { ...origin, parentId: backupId })),
    leases: artifacts.map(({ service }) => service.id),
    record: async (tx) => {
      await tx.backups.create({
        id: backupId,
        projectId: request.projectId,
        createdBy: request.userId,
        scheduleId: request.scheduleId,
        name: request.name,
        description: request.description,
        type: backupType,
        dialect: request.dialect,
        occasion: request.occasion ?? null,
        chosen: request.components !== null || request.services !== null,
        keyPrefix,
        compressed: compression.enabled,
        compressionLevel: compression.enabled ? compression.level : null,
        deduplicated: request.deduplicate,
        verifyRequested: request.verify,
        encrypted: request.encrypt,
        encryptionKeys: [...new Set([...encryption.values()].flatMap((one) => one?.keyName ?? []))],
        automatic: request.automatic ?? request.scheduleId !== null,
        retentionDays: request.retentionDays ?? (await defaultDays(tx, request, destination)),
        warnings,
        notification: request.notification ?? null,
        createdAt: new Date(issuedAt),
        destinationId: destination.id,
        records: records?.summary ?? null,
        artifacts: artifacts
          .map(
            ({ jobId, server, service }): ArtifactDraft => ({
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
            }),
          )
          .concat(records ? recordsArtifact(records) : []),
      });
      await tx.copies.create(backupId, copies);
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

/** The archive of a project's rows says whose they are and who asked for it. */
async function ofProject(
  db: Repositories,
  { projectId: id, scheduleId }: BackupRequest,
  service: ServiceTarget,
): Promise<ServiceTarget> {
  const { database } = service;
  if (database?.type !== 'rows') return service;
  const name = (await db.projects.get(id))?.name ?? '';
  const rows = { ...database.rows, project: { id, name, automatic: scheduleId !== null } };
  return { ...service, database: { ...database, rows } };
}

/** The job that closes the backup neither connects to a database nor runs commands. */
function withoutOrders({ database: _database, hooks: _hooks, ...service }: ServiceTarget): ServiceTarget {
  return service;
}
