import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import getPort from 'get-port';
import { requireTools } from './tools.ts';

export interface RunningRedis {
  port: number;
  /** `redis://` URL; numbered databases keep users of one server apart. */
  url(database?: number): string;
  /** Ends it; its data is gone with it. */
  stop(): Promise<void>;
  process: ChildProcess;
}

/** A real redis-server on a free port, without persistence, set up as a queue needs it (`noeviction`). */
export async function startRedis(options: { evict?: boolean; port?: number } = {}): Promise<RunningRedis> {
  const tools = await requireTools(['redis-server']);
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-redis-'));
  const port = options.port ?? (await getPort({ host: '127.0.0.1' }));
  const child = spawn(
    tools['redis-server'],
    [
      ...['--port', String(port), '--bind', '127.0.0.1', '--dir', dir, '--save', ''],
      ...['--appendonly', 'no', '--databases', '64'],
      ...['--maxmemory-policy', options.evict ? 'allkeys-lru' : 'noeviction'],
    ],
    { stdio: ['ignore', 'pipe', 'pipe'] },
  );
  await new Promise<void>((resolve, reject) => {
    let output = '';
    const read = (chunk: Buffer): void => {
      output += chunk.toString();
      if (output.includes('Ready to accept connections')) resolve();
    };
    child.stdout.on('data', read);
    child.stderr.on('data', read);
    child.on('error', reject);
    child.on('exit', (code) => reject(new Error(`redis-server ended with ${code}:\n${output}`)));
  });
  return {
    port,
    process: child,
    url: (database = 0) => `redis://127.0.0.1:${port}/${database}`,
    async stop() {
      if (child.exitCode === null && child.signalCode === null) {
        child.kill('SIGTERM');
        await once(child, 'exit');
      }
      await rm(dir, { recursive: true, force: true });
    },
  };
}
