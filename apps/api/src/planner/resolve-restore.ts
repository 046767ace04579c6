import { PLAN_VERSION, type PreviewPlan } from '@tarfleet/contracts';
import type { ArtifactRecord, Database, FullBackup, ServerRecord } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import { v7 as uuidv7 } from 'uuid';
import { assertNoneReplaced, foldersOn, planned } from './destination-folders.ts';
import { assertKeysKnown } from './encryption-keys.ts';
import { assertRestorable } from './on-backup.ts';
import { placeOf } from './place.ts';
import { chooseArtifacts, onlyServer } from './restore-artifacts.ts';
import { restoredDatabases } from './restore-databases.ts';
import { pathsToKeep, planRun, targetsOf } from './restore-run.ts';
import { assertPinned, type PlanKeys, poolKey, toDestinationTarget, toServerTarget } from './targets.ts';

/** What a restore and its preview are about, whichever document the request was written by. */
export interface RestoreSubject {
  backup: FullBackup;
  /** Of a copy that is to be read in place of the backup itself. */
  destinationId?: string | null;
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
  /** Whether `restorePath` is said of files alone: databases beside them go into their servers. */
  pathForFiles?: boolean;
  overwrite: boolean;
  verifyIntegrity: boolean;
  healthChecks: boolean;
  /** Whether databases that are there under the same names make way. */
  dropExisting: boolean;
  /** Whether the actor is an administrator: nobody else touches the workers' own hosts. */
  mayUseLocal: boolean;
}

export interface ResolvedRestore {
  /** What the plans of a restore and of its preview have in common. */
  fields: Omit<PreviewPlan, 'kind'>;
  artifacts: ArtifactRecord[];
  server: ServerRecord;
  /** The paths on the server that are put in place. */
  targets: string[];
  /** Ids of all services that are concerned. */
  concerned: string[];
}

/** Resolves and checks what is to be restored where. Whatever would refuse a restore refuses its preview. */
export async function resolveRestore(
  { db, keys }: { db: Database; keys: PlanKeys },
  request: RestoreSubject,
): Promise<ResolvedRestore> {
  const { backup } = request;
  const manifestSha256 = assertRestorable(backup);
  const artifacts = chooseArtifacts(backup, request.services);
  const server = await findServer(db, request, artifacts);
  const target = await toServerTarget(db, server);
  assertPinned(target);
  poolKey(keys, server.pool);
  await assertKeysKnown(db, server.pool, backup);
  const destination = await placeOf(db, backup, request.destinationId ?? null);
  const serviceIds = artifacts.map((artifact) => artifact.serviceId);
  const all = await db.services.find({ serverId: server.id });
  const { databases, places } = restoredDatabases(artifacts, { server, services: all }, request);
  const paths = targetsOf(
    artifacts.flatMap((artifact) => artifact.paths),
    request,
  );
  const targets = [...paths, ...places];
  const folders = foldersOn(server, await db.destinations.all());
  assertNoneReplaced(paths, folders);
  const { run, concerned } = planRun(all, targets);
  return {
    fields: {
      v: PLAN_VERSION,
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
      ...run,
      healthChecks: request.healthChecks,
      keep: pathsToKeep(all, paths, serviceIds),
      ...planned(folders),
      ...(databases.length > 0 ? { databases, dropExisting: request.dropExisting } : {}),
    },
    ...{ artifacts, server, targets, concerned },
  };
}

async function findServer(
  db: Database,
  { backup, target, mayUseLocal }: RestoreSubject,
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
