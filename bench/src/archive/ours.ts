import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createLogger } from '@tarfleet/kernel';
import { type FirstDestination, startStack } from '@tarfleet/stack';
import type { BenchContext } from '../bench.ts';
import { type Client, signIn } from '../client.ts';
import { startBenchPostgres } from '../postgres.ts';

const PASSWORD = 'bench-password';
/** Whoever measures asks more often than anybody else. */
const LIMITS = { RATE_LIMIT_STATUS_PER_MINUTE: '1000000', RATE_LIMIT_RESTORES_PER_HOUR: '1000' };

export interface Backup {
  id: string;
  seconds: number;
  /** Stored, its index included. */
  bytes: number;
}

/** The whole system with one worker and a local server: what is measured is a request until its job has ended. */
export async function createOurs(context: BenchContext, dir: string, destination?: FirstDestination) {
  const postgres = context.own(await startBenchPostgres(dir));
  const stack = context.own(
    await startStack({
      dir: join(dir, 'stack'),
      logger: createLogger({ level: 'silent', process: 'bench' }),
      ...{ port: 0, workers: 1, localRoots: [dir], adminEmail: 'bench@localhost', adminPassword: PASSWORD },
      databaseUrl: await postgres.database('tarfleet'),
      queueUrl: await postgres.database('tarfleet_queue'),
      ...(destination ? { destination } : {}),
      ...{ apiEnv: { ...LIMITS, ...context.processEnv }, workerEnv: context.processEnv },
    }),
  );
  const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
  context.own({ stop: async () => client.close() });
  const server = await client.call('POST', '/api/servers', { name: 'here', kind: 'local' });
  return {
    stack,
    async addService(name: string, path: string): Promise<string> {
      const body = { name, type: 'files', component: 'files', data_paths: [path] };
      const { data } = await client.call('POST', `/api/servers/${server.data.id}/services`, body);
      return data.id;
    },
    async backUp(service: string, type = 'full', level = 6, deduplicate = false): Promise<Backup> {
      const body = { type, services: [service], verify: false, compression_level: level, deduplicate };
      const began = performance.now();
      const { data } = await client.call('POST', '/api/backups/create', body);
      const id: string = data.backup_id;
      const seconds = await ended(client, id, began, context.signal);
      const details = await client.call('GET', `/api/backups/${id}`);
      if (details.data.type !== type) throw new Error(`A ${type} backup became a ${details.data.type} one.`);
      return { id, seconds, bytes: details.data.size_bytes };
    },
    async restore(id: string, restorePath: string, paths?: string[]): Promise<number> {
      const body = { restorePath, overwrite: true, verifyIntegrity: false, ...(paths ? { paths } : {}) };
      const began = performance.now();
      const { data } = await client.call('POST', `/api/backups/${id}/restore`, body);
      return ended(client, data.restoreJobId, began, context.signal);
    },
  };
}

async function ended(client: Client, jobId: string, began: number, signal: AbortSignal): Promise<number> {
  for (;;) {
    const { data } = await client.call('GET', `/api/jobs/${jobId}`);
    if (data.state === 'completed') return (performance.now() - began) / 1000;
    if (data.ended_at !== null) throw new Error(`The job has not ended well: ${JSON.stringify(data)}`);
    await sleep(50, undefined, { signal });
  }
}
