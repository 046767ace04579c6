import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from '@jest/globals';
import { requireTools, startRedis } from '@tarfleet/testbed';
import { Redis } from 'ioredis';
import { createQueueEvents, createQueueProducer, createQueueWorker, migrateQueue } from './index.ts';
import { aJob, type Backend, createOpener, eventually, testLogger, untilState } from './testing.ts';

const processes: ChildProcess[] = [];
let dir = '';

beforeAll(async () => {
  dir = await mkdtemp(join(tmpdir(), 'tarfleet-redis-modes-'));
});

afterAll(async () => {
  for (const child of processes) {
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
  await rm(dir, { recursive: true, force: true });
});

async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, 'close');
  return port;
}

/** A redis-server with a configuration of its own; resolves when it answers. */
async function startServer(name: string, lines: string[], flags: string[] = []): Promise<number> {
  const tools = await requireTools(['redis-server']);
  const port = await freePort();
  const config = join(dir, `${name}.conf`);
  await writeFile(config, [`port ${port}`, 'bind 127.0.0.1', `dir ${dir}`, 'save ""', ...lines].join('\n'));
  processes.push(spawn(tools['redis-server'], [config, ...flags], { stdio: 'ignore' }));
  await withClient(port, (client) => client.ping());
  return port;
}

async function withClient<T>(port: number, use: (client: Redis) => Promise<T>): Promise<T> {
  const client = new Redis({ port, host: '127.0.0.1', retryStrategy: () => 50, disconnectTimeout: 100 });
  client.on('error', () => {});
  try {
    return await use(client);
  } finally {
    client.disconnect();
  }
}

/** A flow with its progress, a cancel and a removal: every kind of command that the room uses. */
async function runThrough(backend: Backend): Promise<void> {
  const producer = await backend.producer();
  const worker = await backend.worker();
  const events = await backend.events();
  const pool = backend.pool();
  const parent = aJob(pool, 'backup');
  const children = [1, 2, 3].map(() => aJob(pool, 'artifact', { parentJobId: parent.jobId }));
  let beats = 0;
  await events.onMessage(async () => {
    beats += 1;
  });
  const at = new Date().toISOString();
  const ids = { workerId: 'w', host: 'h', pid: 1, pool, version: '0', startedAt: at, at };
  await worker.publish({
    v: 1,
    type: 'heartbeat',
    stopping: false,
    jobs: [],
    keyring: { keys: [], primary: null },
    ...ids,
  });
  await producer.enqueueFlow(parent, children);
  await producer.requestCancel(children[2]?.jobId ?? '', 'not this one');
  await worker.consume({
    ...{ pool, kind: 'artifact', concurrency: 2 },
    handler: async ({ signal }) => {
      signal.throwIfAborted();
      return 'done';
    },
  });
  await worker.consume({
    ...{ pool, kind: 'backup', concurrency: 1 },
    handler: async (delivery) => {
      await delivery.assertOwned();
      return [...(await delivery.childOutcomes()).values()].filter((outcome) => outcome.ok).length;
    },
  });
  expect(await untilState(producer, parent, 'completed')).toEqual({ state: 'completed', result: 2 });
  expect(await producer.remove(parent)).toBe(true);
  for (const job of [parent, ...children]) expect(await producer.state(job)).toEqual({ state: 'missing' });
  await eventually(() => (beats === 1 ? true : undefined));
}

test('a Redis that may evict keys is refused, with what to do about it', async () => {
  const redis = await startRedis({ evict: true });
  const refused = { code: 'INTERNAL', message: expect.stringContaining('maxmemory-policy noeviction') };
  const options = { url: redis.url(), logger: testLogger() };
  await expect(migrateQueue(redis.url())).rejects.toMatchObject(refused);
  await expect(createQueueProducer(options)).rejects.toMatchObject(refused);
  await expect(createQueueWorker(options)).rejects.toMatchObject(refused);
  await expect(createQueueEvents(options)).rejects.toMatchObject(refused);
  await withClient(redis.port, (client) => client.config('SET', 'maxmemory-policy', 'noeviction'));
  await migrateQueue(redis.url());
  await redis.stop();
});

test('a password is used, and a wrong one refused without being shown', async () => {
  const port = await startServer('auth', []);
  await withClient(port, (client) => client.config('SET', 'requirepass', 'r1ght'));
  await migrateQueue(`redis://:r1ght@127.0.0.1:${port}/1`);
  const wrong = migrateQueue(`redis://:wr0ng@127.0.0.1:${port}/1`);
  await expect(wrong).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await expect(wrong).rejects.not.toThrow(/wr0ng/);
});

describe('a cluster', () => {
  let url = '';
  const { backend, closeAll } = createOpener(() => url);
  afterEach(closeAll);

  test('carries flows, events and cancels', async () => {
    const ports: number[] = [];
    for (const name of ['one', 'two']) {
      const files = [`cluster-config-file ${name}.nodes`, 'cluster-node-timeout 2000'];
      ports.push(await startServer(name, ['cluster-enabled yes', ...files]));
    }
    const [one = 0, two = 0] = ports;
    const slots = Array.from({ length: 16_384 }, (_, slot) => slot);
    await withClient(one, (client) => client.call('CLUSTER', 'ADDSLOTS', ...slots.slice(0, 8_192)));
    await withClient(two, (client) => client.call('CLUSTER', 'ADDSLOTS', ...slots.slice(8_192)));
    await withClient(one, (client) => client.call('CLUSTER', 'MEET', '127.0.0.1', two));
    for (const port of ports) {
      await eventually(async () => {
        const info = await withClient(port, (client) => client.cluster('INFO'));
        return /cluster_state:ok[\s\S]*cluster_known_nodes:2/.test(info) ? true : undefined;
      });
    }
    url = `redis+cluster://127.0.0.1:${one},127.0.0.1:${two}`;
    await migrateQueue(url);
    await runThrough(backend);
    await withClient(two, (client) => client.config('SET', 'maxmemory-policy', 'allkeys-lru'));
    await expect(migrateQueue(url)).rejects.toMatchObject({ code: 'INTERNAL' });
  });
});

describe('sentinels', () => {
  let url = '';
  const { backend, closeAll } = createOpener(() => url);
  afterEach(closeAll);

  test('lead to the master, and to the next one after a failover', async () => {
    const master = await startServer('master', []);
    await startServer('replica', [`replicaof 127.0.0.1 ${master}`]);
    const sentinel = await startServer(
      'sentinel',
      [`sentinel monitor mymaster 127.0.0.1 ${master} 1`, 'sentinel down-after-milliseconds mymaster 2000'],
      ['--sentinel'],
    );
    url = `redis+sentinel://127.0.0.1:${sentinel}/2?name=mymaster`;
    await runThrough(backend);
    const producer = await backend.producer();
    const worker = await backend.worker();
    const job = aJob(backend.pool());
    await worker.consume({ pool: job.pool, kind: job.kind, concurrency: 1, handler: async () => 'after it' });
    // Refused until the sentinel knows the replica well enough to choose it.
    await eventually(() =>
      withClient(sentinel, (client) => client.call('SENTINEL', 'FAILOVER', 'mymaster')).then(
        () => true,
        () => undefined,
      ),
    );
    await eventually(async () => {
      const found = await withClient(sentinel, (client) =>
        client.call('SENTINEL', 'GET-MASTER-ADDR-BY-NAME', 'mymaster'),
      );
      return (found as string[])[1] === String(master) ? undefined : true;
    });
    await eventually(async () => {
      await producer.enqueue(job).catch(() => undefined);
      const state = await producer.state(job).catch(() => undefined);
      return state?.state === 'completed' ? true : undefined;
    });
    expect(await producer.state(job)).toEqual({ state: 'completed', result: 'after it' });
  });
});
