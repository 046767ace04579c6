// The only place where drivers are chosen.
import { availableParallelism } from 'node:os';
import type { Codec } from '@tarfleet/archive';
import {
  DestinationSecrets,
  type DestinationTarget,
  ServerSecrets,
  type ServerTarget,
} from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import { createServiceControl } from '@tarfleet/services';
import { createFilesSource } from '@tarfleet/sources';
import { createStorage } from '@tarfleet/storage';
import { assertWithinRoots, createTransport } from '@tarfleet/transport';
import {
  destinationSecretsInfo,
  type Keyring,
  openSealedObject,
  type PoolKeys,
  sealFor,
  serverSecretsInfo,
} from '@tarfleet/vault';
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

  return {
    logger,
    keyring,
    codec,
    parallelBlocks: availableParallelism(),
    connect: (target, options) => transport.connect({ target, openSecrets: openServerSecrets, ...options }),
    openStorage: async (target) =>
      createStorage(target, await openDestinationSecrets(target), { localRoots, localAllowed, logger }),
    sourceOf: () => files,
    serviceOf(server, context, service) {
      const filesAlone = service.runner.kind === 'none' && service.healthCheck === null;
      if (server.kind === 'local' && !options.localServices && !filesAlone) {
        throw new AppError(
          'LOCAL_NOT_ALLOWED',
          `This worker neither stops, starts nor checks services of its own machine, such as ${service.name}: LOCAL_SERVICES=true in its environment allows it.`,
        );
      }
      return services.of(context, service);
    },
    tmpDir,
    ownMachine: (signal) => own.connect({ target: OWN_MACHINE, openSecrets: openServerSecrets, signal }),
    async assertPathsAllowed(server, paths) {
      if (server.kind === 'local') await assertWithinRoots(paths, localRoots);
    },
    openServerSecrets,
    async reseal(plan) {
      const info = serverSecretsInfo(plan);
      const secrets = await openSealedObject(keys.keys, info, plan.secrets, ServerSecrets);
      return sealFor(plan.to, info, secrets);
    },
  };
}
