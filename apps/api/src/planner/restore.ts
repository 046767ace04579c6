import { PLAN_VERSION, type RestorePlan } from '@tarfleet/contracts';
import type { ArtifactRecord, Database, FullBackup, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { assertKeysKnown } from './encryption-keys.ts';
import { assertRestorable, relock } from './on-backup.ts';
import { chooseArtifacts, onlyServer } from './restore-artifacts.ts';
import { pathsToKeep, planRun, targetsOf } from './restore-run.ts';
import { assertPinned, type PlanKeys, poolKey, toDestinationTarget, toServerTarget } from './targets.ts';

/** What a restore request comes to, whichever document it was written by. */
export interface RestoreRequest {
  backup: FullBackup;
  userId: string;
  requestId: string;
  /** Another server than the one that was backed up, which the actor may change; null: that one. */
  target: ServerRecord | null;
  /** Ids or names; null: all that the backup holds. */
  services: string[] | null;
  /** In their plain form; null: all that they hold. */
  paths: string[] | null;
  /** In its plain form. */
  restorePath: string | null;
  overwrite: boolean;
  verifyIntegrity: boolean;
  /** Whether a failure puts everything back as it was. */
  rollback: boolean;
  /** How long the way back is kept after the restore, in hours; without `rollback` only after a failure. */
  keepHours: number;
  healthChecks: boolean;
  /** Whether the actor is an administrator: nobody else touches the workers' own hosts. */
  mayUseLocal: boolean;
}

export async function planRestore(
  { db, keys }: { db: Database; keys: PlanKeys },
  request: RestoreRequest,
): Promise<RunDraft> {
  const { backup } = request;
  const manifestSha256 = assertRestorable(backup);
  const artifacts = chooseArtifacts(backup, request.services);
  const server = await findServer(db, request, artifacts);
  const target = await toServerTarget(db, server);
  assertPinned(target);
  poolKey(keys, server.pool);
  await assertKeysKnown(db, server.pool, backup);
  const destination = backup.destinationId ? await db.destinations.get(backup.destinationId) : null;
  if (!destination) {
    throw new AppError('CONFLICT', 'The destination of this backup is no longer configured.');
  }
  const serviceIds = artifacts.map((artifact) => artifact.serviceId);
  const all = await db.services.find({ serverId: server.id });
  const targets = targetsOf(
    artifacts.flatMap(({ paths }) => paths),
    request,
  );
  const { run, concerned } = planRun(all, targets);
  const plan: RestorePlan = {
    v: PLAN_VERSION,
    kind: 'restore',
    jobId: uuidv7(),
    pool: server.pool,
    projectId: backup.projectId,
    requestId: request.requestId,
    issuedAt: new Date().toISOString(),
    backupId: backup.id,
    server: target,
    destination: await toDestinationTarget(keys, destination, server.pool),
    keyPrefix: backup.keyPrefix,
    manifestSha256,
    serviceIds,
    paths: request.paths,
    restorePath: request.restorePath,
    overwrite: request.overwrite,
    verifyIntegrity: request.verifyIntegrity,
    rollback: request.rollback,
    keepHours: request.keepHours,
    ...run,
    healthChecks: request.healthChecks,
    keep: pathsToKeep(all, targets, serviceIds),
  };
  return {
    root: {
      id: plan.jobId,
      kind: 'restore',
      pool: plan.pool,
      projectId: plan.projectId,
      userId: request.userId,
      backupId: backup.id,
      parentId: null,
      requestId: request.requestId,
      plan: JSON.stringify(plan),
    },
    children: [],
    leases: [...new Set([...serviceIds, ...concerned])],
    async record(tx) {
      assertRestorable(await relock(tx, backup.id));
      await tx.restores.create({
        id: plan.jobId,
        backupId: backup.id,
        serverId: server.id,
        userId: request.userId,
        restoreType: request.services === null && request.paths === null ? 'full' : 'selective',
        servicesToRestore: artifacts.map((artifact) => artifact.serviceName),
        metadata: {
          restore_path: request.restorePath,
          overwrite: request.overwrite,
          ...(request.paths ? { paths: request.paths.join('\n') } : {}),
          target_paths: targets,
          service_ids: serviceIds,
        },
      });
    },
  };
}

async function findServer(
  db: Database,
  { backup, target, mayUseLocal }: RestoreRequest,
  artifacts: ArtifactRecord[],
): Promise<ServerRecord> {
  const from = onlyServer(artifacts);
  const server = target ?? (await db.servers.get(from));
  if (!server || (!target && server.projectId !== backup.projectId)) {
    throw new AppError(
      'NOT_FOUND',
      `The server ${artifacts[0]?.serverName ?? ''} is no longer configured. Name another one by target_server_id.`,
    );
  }
  if (server.kind === 'local' && !mayUseLocal) {
    throw new AppError('INSUFFICIENT_PERMISSIONS', 'Only an administrator may restore to a local server.');
  }
  return server;
}
