import { PLAN_VERSION, type RestorePlan } from '@tarfleet/contracts';
import type { ArtifactRecord, Database, FullBackup } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import type { RunDraft } from '../dispatcher.ts';
import { assertKeysKnown } from './encryption-keys.ts';
import { assertRestorable, relock } from './on-backup.ts';
import { assertPinned, type PlanKeys, poolKey, toDestinationTarget, toServerTarget } from './targets.ts';

/** What a restore request comes to, whichever document it was written by. */
export interface RestoreRequest {
  backup: FullBackup;
  userId: string;
  requestId: string;
  /** Ids or names; null: all that the backup holds. */
  services: string[] | null;
  /** Null: all that they hold. */
  paths: string[] | null;
  restorePath: string | null;
  overwrite: boolean;
  verifyIntegrity: boolean;
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
  const server = await db.servers.get(onlyServer(artifacts));
  if (!server || server.projectId !== backup.projectId) {
    throw new AppError('NOT_FOUND', `The server ${artifacts[0]?.serverName ?? ''} is no longer configured.`);
  }
  if (server.kind === 'local' && !request.mayUseLocal) {
    throw new AppError('INSUFFICIENT_PERMISSIONS', 'Only an administrator may restore to a local server.');
  }
  const target = await toServerTarget(db, server);
  assertPinned(target);
  poolKey(keys, server.pool);
  await assertKeysKnown(db, server.pool, backup);
  const destination = backup.destinationId ? await db.destinations.get(backup.destinationId) : null;
  if (!destination) {
    throw new AppError('CONFLICT', 'The destination of this backup is no longer configured.');
  }
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
    serviceIds: artifacts.map((artifact) => artifact.serviceId),
    paths: request.paths,
    restorePath: request.restorePath,
    overwrite: request.overwrite,
    verifyIntegrity: request.verifyIntegrity,
    rollback: false,
    keepHours: 0,
    services: [],
    stopOrder: [],
    startOrder: [],
    healthChecks: false,
    keep: [],
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
    leases: plan.serviceIds,
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
        },
      });
    },
  };
}

function chooseArtifacts(backup: FullBackup, wanted: string[] | null): ArtifactRecord[] {
  const there = backup.artifacts.filter((artifact) => artifact.status === 'completed');
  if (wanted === null) return there;
  const unknown = wanted.filter(
    (name) => !there.some((artifact) => artifact.serviceId === name || artifact.serviceName === name),
  );
  if (unknown.length > 0) {
    const names = there.map((artifact) => artifact.serviceName).join(', ');
    throw new AppError(
      'NOT_FOUND',
      `The backup holds no service ${unknown.join(', ')}. It holds: ${names}.`,
      {
        details: { services: unknown },
      },
    );
  }
  return there.filter(
    ({ serviceId, serviceName }) => wanted.includes(serviceId) || wanted.includes(serviceName),
  );
}

function onlyServer(artifacts: ArtifactRecord[]): string {
  const ids = new Set(artifacts.map((artifact) => artifact.serverId));
  const [id] = ids;
  if (id === undefined) throw new AppError('BACKUP_INCOMPLETE', 'The backup holds nothing to restore.');
  if (ids.size === 1) return id;
  const byServer = artifacts.map((artifact) => `${artifact.serviceName} (${artifact.serverName})`).join(', ');
  throw new AppError(
    'VALIDATION_FAILED',
    `This backup holds services of ${ids.size} servers, and a restore is for one. Choose the services of one server by selectedServices: ${byServer}.`,
  );
}
