// The only place where drivers are chosen.
import { availableParallelism } from 'node:os';
import type { Codec } from '@tarfleet/archive';
import {
  DatabaseSecrets,
  type DatabaseTarget,
  DestinationSecrets,
  type DestinationTarget,
  ServerSecrets,
  type ServerTarget,
} from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { createServiceControl } from '@tarfleet/services';
import { createDatabaseSource, createFilesSource } from '@tarfleet/sources';
import { createStorage } from '@tarfleet/storage';
import { assertWithinRoots, createTransport } from '@tarfleet/transport';
import {
  databaseSecretsInfo,
  destinationSecretsInfo,
  type Keyring,
  openSealed,
  openSealedObject,
  type PoolKeys,
  projectRecordsInfo,
  serverSecretsInfo,
} from '@tarfleet/vault';
import { resealAll } from './jobs/reseal-all.ts';
import type { WorkerDeps } from './worker-deps.ts';

const OWN_MACHINE: ServerTarget = {
  id: '00000000-0000-7000-8000-000000000000',
  projectId: 1,
  name: "the worker's own machine",
  kind: 'local',
  pool: 'default',
};

export interface DepsOptions {
  logger: Logger;
  keys: PoolKeys;
  keyring: Keyring;
  codec: Codec;
  localRoots: string[];
  /** Whether services of local servers may be stopped, started and checked. */
  localServices: boolean;
  tmpDir: string;
}

export function createDeps(options: DepsOptions): WorkerDeps {
  const { logger, keys, keyring, codec, localRoots, tmpDir } = options;
  const localAllowed = localRoots.length > 0;
  const transport = createTransport({ logger, localRoots, localAllowed });
  const own = createTransport({ logger, localRoots: [tmpDir], localAllowed: true });
  const files = createFilesSource({ tmpDir });
  const services = createServiceControl();

  const openServerSecrets = async (server: ServerTarget): Promise<ServerSecrets> => {
    if (server.kind === 'local') return { auth: { type: 'none' } };
    return openSealedObject(keys.keys, serverSecretsInfo(server), server.secrets, ServerSecrets);
  };

  const openDestinationSecrets = async (target: DestinationTarget): Promise<DestinationSecrets | null> => {
    if (target.type === 'local') return null;
    const info = destinationSecretsInfo({ destinationId: target.id, pool: keys.pool });
    return openSealedObject(keys.keys, info, target.secrets, DestinationSecrets);
  };

  const openDatabaseSecrets = async (
    server: ServerTarget,
    database: DatabaseTarget,
  ): Promise<DatabaseSecrets | null> => {
    if (database.type === 'sqlite' || database.secrets === null) return null;
    const { type, host, port, user } = database;
    const info = databaseSecretsInfo({
      ...{ projectId: server.projectId, serverId: server.id, type, host, port, user },
      server: server.kind === 'ssh' ? { host: server.host, port: server.port } : null,
    });
    return openSealedObject(keys.keys, info, database.secrets, DatabaseSecrets);
  };

  const assertCommandsAllowed = (server: ServerTarget, service: string): void => {
    if (server.kind !== 'local' || options.localServices) return;
    throw new AppError(
      'LOCAL_NOT_ALLOWED',
      `This worker runs no commands of services of its own machine, such as ${service}: LOCAL_SERVICES=true in its environment allows it.`,
    );
  };

  return {
    logger,
    keyring,
    codec,
    parallelBlocks: availableParallelism(),
    connect: (target, options) => transport.connect({ target, openSecrets: openServerSecrets, ...options }),
    openStorage: async (target) =>
      createStorage(target, await openDestinationSecrets(target), { localRoots, localAllowed, logger }),
    sourceOf: (type, server) =>
      type === 'files'
        ? files
        : createDatabaseSource({ openSecrets: (database) => openDatabaseSecrets(server, database) }),
    serviceOf(server, context, service) {
      const filesAlone = service.runner.kind === 'none' && service.healthCheck === null;
      if (!filesAlone) assertCommandsAllowed(server, service.name);
      return services.of(context, service);
    },
    tmpDir,
    ownMachine: (signal) => own.connect({ target: OWN_MACHINE, openSecrets: openServerSecrets, signal }),
    async assertPathsAllowed(server, paths) {
      if (server.kind === 'local') await assertWithinRoots(paths, localRoots);
    },
    assertCommandsAllowed,
    openServerSecrets,
    openRecords: ({ backupId, records }) =>
      openSealed(keys.keys, projectRecordsInfo({ backupId, pool: keys.pool }), records),
    reseal: (plan) => resealAll(keys.keys, plan),
  };
}
