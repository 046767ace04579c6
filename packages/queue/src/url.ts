import { AppError } from '@tarfleet/kernel';

export interface PostgresTarget {
  backend: 'postgres';
  /** With the search path that BullMQ's functions need. Holds the password. */
  connectionString: string;
}

export interface RedisTarget {
  backend: 'redis';
  mode: 'single' | 'sentinel' | 'cluster';
  /** The server, the sentinels, or some of the cluster's nodes. */
  nodes: { host: string; port: number }[];
  tls: boolean;
  db: number;
  username?: string;
  password?: string;
  /** The name under which the sentinels know the master. */
  master?: string;
  sentinelUsername?: string;
  sentinelPassword?: string;
}

export type QueueTarget = PostgresTarget | RedisTarget;

const FORMS =
  'postgres://user:password@host/database, redis://[user:password@]host[:port][/db], ' +
  'redis+sentinel://[user:password@]host[:port],host[:port][/db]?name=master, or ' +
  'redis+cluster://[user:password@]host[:port],host[:port]; rediss instead of redis for TLS';

/**
 * Where a queue lies:
 *
 * - `postgres://user:password@host:5432/database` (as libpq takes it, `sslmode` and so on included)
 * - `redis://user:password@host:6379/0`, or `rediss://` for TLS
 * - `redis+sentinel://user:password@sentinel1:26379,sentinel2:26379/0?name=mymaster`; user and password are the
 *   server's, `sentinelUsername` and `sentinelPassword` the sentinels'
 * - `redis+cluster://user:password@node1:6379,node2:6379`; a cluster has no numbered databases
 *
 * `rediss+sentinel` and `rediss+cluster` use TLS throughout. Certificates are checked against the system's
 * authorities and those in NODE_EXTRA_CA_CERTS. Throws VALIDATION_FAILED, without the URL's secrets.
 */
export function parseQueueUrl(url: string): QueueTarget {
  const scheme = /^([a-z+]+):\/\//.exec(url)?.[1];
  if (scheme === 'postgres' || scheme === 'postgresql') return postgresTarget(url);
  const redis = /^redis(s?)(?:\+(sentinel|cluster))?$/.exec(scheme ?? '');
  if (!redis) throw refused(`it must have one of these forms: ${FORMS}`);
  const mode = (redis[2] ?? 'single') as RedisTarget['mode'];
  return redisTarget(url, mode, redis[1] === 's');
}

function postgresTarget(url: string): PostgresTarget {
  let parsed: URL;
  try {
    parsed = new URL(url);
  } catch {
    throw refused('it is not a valid Postgres URL; escape special characters in the password (%40 for @)');
  }
  if (parsed.pathname.length < 2) throw refused('it names no database');
  const options = [parsed.searchParams.get('options'), '-c search_path=bullmq'].filter(Boolean).join(' ');
  parsed.searchParams.set('options', options);
  return { backend: 'postgres', connectionString: parsed.href };
}

function redisTarget(url: string, mode: RedisTarget['mode'], tls: boolean): RedisTarget {
  const parts = /^[a-z+]+:\/\/(?:([^@/?#]*)@)?([^@/?#]+)(?:\/([^?#]*))?(?:\?([^#]*))?$/.exec(url);
  if (!parts) throw refused('it is not a valid Redis URL; escape special characters in the password');
  const [, credentials, hosts = '', path = '', search = ''] = parts;
  const [username, password] = (credentials ?? '').split(':').map(decode);
  const nodes = hosts.split(',').map((host) => parseNode(host, mode === 'sentinel' ? 26379 : 6379));
  if (mode === 'single' && nodes.length > 1)
    throw refused('several hosts need redis+sentinel or redis+cluster');
  if (!/^\d*$/.test(path)) throw refused('its path must be the number of a database');
  const db = path === '' ? 0 : Number(path);
  if (mode === 'cluster' && db !== 0) throw refused('a cluster has no numbered databases');
  const query = new URLSearchParams(search);
  const known = mode === 'sentinel' ? ['name', 'sentinelUsername', 'sentinelPassword'] : [];
  const unknown = [...query.keys()].filter((key) => !known.includes(key));
  if (unknown.length > 0) throw refused(`it has parameters that are not known here: ${unknown.join(', ')}`);
  const master = query.get('name');
  if (mode === 'sentinel' && !master) throw refused("it must name the sentinels' master: ?name=mymaster");
  const sentinelUsername = query.get('sentinelUsername');
  const sentinelPassword = query.get('sentinelPassword');
  return {
    backend: 'redis',
    mode,
    nodes,
    tls,
    db,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(master ? { master } : {}),
    ...(sentinelUsername ? { sentinelUsername } : {}),
    ...(sentinelPassword ? { sentinelPassword } : {}),
  };
}

function parseNode(text: string, defaultPort: number): { host: string; port: number } {
  const parts = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+))(?::(\d{1,5}))?$/.exec(text);
  const host = parts?.[1] ?? parts?.[2];
  const port = Number(parts?.[3] ?? defaultPort);
  if (!host || port < 1 || port > 65_535) throw refused('one of its hosts is not of the form host:port');
  return { host, port };
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refused('its user name or password has a stray % (write it as %25)');
  }
}

function refused(why: string): AppError {
  return new AppError('VALIDATION_FAILED', `The queue's URL is not usable: ${why}.`);
}
