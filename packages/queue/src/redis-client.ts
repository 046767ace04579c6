import { AppError } from '@tarfleet/kernel';
import { Cluster, Redis, type RedisOptions } from 'ioredis';
import { withDeadline } from './deadline.ts';
import type { RedisTarget } from './url.ts';

export type RedisClient = Redis | Cluster;

/**
 * A client that never makes a caller wait for a server that is gone: a command without a connection, and one
 * whose connection breaks, is rejected at once and not sent again later. It reconnects by itself.
 * The caller ends it with `disconnect()`, and must listen to `error` from the start.
 */
export function createRedisClient(target: RedisTarget): RedisClient {
  const { mode, nodes, tls, db, username, password } = target;
  const again = (times: number): number => Math.min(100 * 2 ** Math.min(times, 5), 2_000);
  const common = {
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(tls ? { tls: {} } : {}),
    connectTimeout: 5_000,
    // ioredis lets this run on, after a disconnect of what is closed already too, and so holds up the process.
    disconnectTimeout: 300,
    keepAlive: 10_000,
    // Longer than any blocking command: notices a peer that vanished without a word.
    socketTimeout: 20_000,
    maxRetriesPerRequest: 0,
    autoResendUnfulfilledCommands: false,
    // After a failover the old master may still be connected to, now as a replica.
    reconnectOnError: (error: Error) => error.message.includes('READONLY'),
  } satisfies RedisOptions;
  const alone = { ...common, db, enableOfflineQueue: false, retryStrategy: again };
  if (mode === 'cluster') {
    return new Cluster(nodes, {
      enableOfflineQueue: false,
      clusterRetryStrategy: again,
      slotsRefreshTimeout: 4_000,
      redisOptions: common,
      // Behind TLS the nodes' certificates name hosts, which must not be resolved to addresses first.
      ...(tls ? { dnsLookup: (address, done) => done(null, address) } : {}),
    });
  }
  if (mode === 'sentinel') {
    return new Redis({
      ...alone,
      sentinels: nodes,
      name: target.master ?? '',
      sentinelRetryStrategy: again,
      ...(tls ? { enableTLSForSentinelMode: true, sentinelTLS: {} } : {}),
      ...(target.sentinelUsername ? { sentinelUsername: target.sentinelUsername } : {}),
      ...(target.sentinelPassword ? { sentinelPassword: target.sentinelPassword } : {}),
    });
  }
  return new Redis({ ...alone, host: nodes[0]?.host ?? '127.0.0.1', port: nodes[0]?.port ?? 6379 });
}

/** Resolves when commands can be sent. Rejects with UNAVAILABLE after `ms` milliseconds, or at once when the login is refused. */
export async function untilReady(client: RedisClient, ms: number): Promise<void> {
  if (client.status === 'ready') return;
  let stop = (): void => {};
  const ready = new Promise<void>((resolve, reject) => {
    const refused = (error: Error): void => {
      if (!/^(WRONGPASS|NOAUTH|NOPERM|ERR invalid (username|password))/.test(error.message)) return;
      reject(
        new AppError('UNAVAILABLE', "The queue's Redis refuses the user name or password in QUEUE_URL.", {
          cause: new Error(error.message),
        }),
      );
    };
    client.once('ready', resolve);
    client.on('error', refused);
    stop = () => {
      client.off('ready', resolve);
      client.off('error', refused);
    };
  });
  try {
    await withDeadline(ms, () => ready);
  } finally {
    stop();
  }
}

/**
 * Throws INTERNAL unless no server of the queue ever evicts keys. With any other policy Redis throws jobs away
 * when its memory is full, without a word.
 */
export async function assertNoEviction(client: RedisClient, ms: number): Promise<void> {
  const nodes = client instanceof Cluster ? client.nodes('master') : [client];
  for (const node of nodes) {
    const info = await withDeadline(ms, () => node.info('memory'));
    const policy = /^maxmemory_policy:(\S+)/m.exec(info)?.[1];
    if (policy === undefined || policy === 'noeviction') continue;
    throw new AppError(
      'INTERNAL',
      `The queue's Redis has maxmemory-policy ${policy}, so it may silently drop jobs when memory runs short. ` +
        'Set maxmemory-policy to noeviction (in redis.conf, or: redis-cli CONFIG SET maxmemory-policy noeviction) and start again.',
    );
  }
}
