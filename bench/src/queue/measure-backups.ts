import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createDatabase } from '@tarfleet/db';
import { createLogger } from '@tarfleet/kernel';
import { startStack } from '@tarfleet/stack';
import type { BenchContext } from '../bench.ts';
import { type Client, each, signIn } from '../client.ts';
import { cpuTimes } from '../processes.ts';

export interface MeasureOptions {
  context: BenchContext;
  dir: string;
  databaseUrl: string;
  queueUrl: string;
  /** Processes that serve the system, by name. */
  servers: Record<string, number>;
}

export interface Measured {
  backups: number;
  /** From the first request to the last final state in the database. */
  seconds: number;
  /** Milliseconds of each POST. */
  posts: number[];
  /** Processor seconds meanwhile. */
  cpu: { name: string; seconds: number }[];
}

interface Service {
  id: string;
  serverId: string;
}

const PASSWORD = 'bench-password';
const SERVERS = 20;
/** Requests at once. */
const POSTS = 32;
const WORKERS = 1;
const CONCURRENCY = 8;
const WARM_UP = 60;
const LIMIT_MS = 300_000;

/** Backs up many services of one small file each, all at once, and waits until every one of them has ended well. */
export async function measureBackups(options: MeasureOptions): Promise<Measured> {
  const { context, dir, databaseUrl, queueUrl, servers } = options;
  const { signal } = context;
  const data = join(dir, 'data');
  const stack = context.own(
    await startStack({
      ...{ dir: join(dir, 'stack'), databaseUrl, queueUrl, port: 0, workers: WORKERS, localRoots: [data] },
      ...{ adminEmail: 'bench@localhost', adminPassword: PASSWORD },
      logger: createLogger({ level: 'silent', process: 'bench' }),
      onLine: (name, line) => {
        if (!/"level":(?:[123]0|"(?:trace|debug|info)")/.test(line)) context.say(`${name} ${line}`);
      },
      apiEnv: context.processEnv,
      workerEnv: { CONCURRENCY: String(CONCURRENCY), ...context.processEnv },
    }),
  );
  const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
  context.own({ stop: async () => client.close() });
  const db = createDatabase({ url: databaseUrl, poolSize: 1 });
  context.own({ stop: () => db.close() });

  const services = await createServices(client, data, context);
  const posts: number[] = [];
  const submit = (some: Service[]): Promise<void> =>
    each(some, POSTS, signal, async ({ id, serverId }) => {
      const body = { type: 'full', encrypt: false, compress: false, verify: false };
      const began = performance.now();
      await client.call('POST', '/api/backups/create', { ...body, services: [id], server_id: serverId });
      posts.push(performance.now() - began);
    });
  const since = new Date();
  const untilEnded = async (count: number): Promise<void> => {
    const giveUpAt = Date.now() + LIMIT_MS;
    for (;;) {
      signal.throwIfAborted();
      const ended = (await db.jobs.statistics(since)).filter(
        ({ kind, state }) => kind === 'backup' && state !== 'queued' && state !== 'running',
      );
      const bad = ended.filter(({ state }) => state !== 'completed');
      if (bad.length > 0) throw new Error(`Backups did not end well: ${JSON.stringify(bad)}`);
      if (ended.reduce((sum, one) => sum + one.count, 0) >= count) return;
      if (Date.now() > giveUpAt) throw new Error(`Not every backup has ended: ${JSON.stringify(ended)}`);
      await sleep(100);
    }
  };
  const warmUp = services.slice(0, WARM_UP);
  await submit(warmUp);
  await untilEnded(warmUp.length);
  posts.length = 0;

  const pids = [stack.api, ...stack.workers].map(({ child }) => child.pid ?? 0);
  const all = [...pids, ...Object.values(servers), process.pid];
  const before = await cpuTimes(all);
  const began = performance.now();
  const failed = stack.failed.then((name) => {
    throw new Error(`${name} ended by itself.`);
  });
  const work = (async () => {
    await submit(services);
    await untilEnded(warmUp.length + services.length);
  })();
  await Promise.race([work, failed]);
  const seconds = (performance.now() - began) / 1000;
  const after = await cpuTimes(all);
  const used = after.map((time, index) => ({
    own: time.own - (before[index]?.own ?? 0),
    below: time.below - (before[index]?.below ?? 0),
  }));
  const sum = (part: typeof used, of: 'own' | 'below'): number =>
    part.reduce((total, one) => total + one[of], 0);
  const workers = used.slice(1, pids.length);
  const cpu = [
    { name: 'api', seconds: sum(used.slice(0, 1), 'own') },
    { name: 'worker', seconds: sum(workers, 'own') },
    { name: 'find, tar, sh (below worker)', seconds: sum(workers, 'below') },
    ...Object.keys(servers).map((name, index) => {
      const one = used.slice(pids.length + index, pids.length + index + 1);
      return { name, seconds: sum(one, 'own') + sum(one, 'below') };
    }),
    { name: 'this bench', seconds: sum(used.slice(-1), 'own') },
  ];
  return { backups: services.length, seconds, posts, cpu };
}

async function createServices(client: Client, data: string, context: BenchContext): Promise<Service[]> {
  const { signal } = context;
  const servers: string[] = [];
  await each(Array.from({ length: SERVERS }), 4, signal, async (_, index) => {
    const answer = await client.call('POST', '/api/servers', { name: `server-${index}`, kind: 'local' });
    servers.push(answer.data.id);
  });
  const services: Service[] = [];
  await each(Array.from({ length: context.services }), 8, signal, async (_, index) => {
    const folder = join(data, `service-${index}`);
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, 'file'), `The only file of service ${index}.\n`);
    const serverId = servers[index % SERVERS] ?? '';
    const body = { name: `service-${index}`, type: 'files', component: 'files', data_paths: [folder] };
    const answer = await client.call('POST', `/api/servers/${serverId}/services`, body);
    services.push({ id: answer.data.id, serverId });
  });
  return services;
}
