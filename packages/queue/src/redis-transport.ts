import { createRedisBackend } from 'bullmq';
import { Cluster } from 'ioredis';
import { assertNoEviction, createRedisClient, type RedisClient, untilReady } from './redis-client.ts';
import type { Transport, TransportOptions } from './transport.ts';
import type { RedisTarget } from './url.ts';

/**
 * One Redis connection for all commands, and one for each queue that a worker or a progress listener blocks on
 * (BullMQ duplicates the shared one for these). Rejects when Redis does not answer, or may evict keys.
 */
export async function createRedisTransport(
  target: RedisTarget,
  options: TransportOptions,
): Promise<Transport> {
  const clients = new Set<RedisClient>();
  const adopt = (client: RedisClient): RedisClient => {
    clients.add(client);
    client.on('error', options.onFault);
    client.setMaxListeners(0);
    return client;
  };
  const closeAll = (): void => {
    for (const client of clients) client.disconnect();
  };
  const client = adopt(createRedisClient(target));
  shareDuplicates(client, adopt);
  try {
    await untilReady(client, options.callMs);
    await assertNoEviction(client, options.callMs);
  } catch (error) {
    closeAll();
    throw error;
  }
  return {
    backend: 'redis',
    factory: (name, queueOptions, factoryOptions) =>
      createRedisBackend(name, { ...queueOptions, connection: client }, factoryOptions),
    async ping() {
      await client.ping();
    },
    clockAheadMs: async () => null,
    async close() {
      closeAll();
    },
  };
}

/** BullMQ makes its blocking connections by `duplicate`: each needs its error listener from the start, and an end. */
function shareDuplicates(client: RedisClient, adopt: (client: RedisClient) => RedisClient): void {
  if (client instanceof Cluster) {
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (nodes, override) => adopt(duplicate(nodes, override)) as Cluster;
  } else {
    const duplicate = client.duplicate.bind(client);
    client.duplicate = (override) => adopt(duplicate(override)) as typeof client;
  }
}
