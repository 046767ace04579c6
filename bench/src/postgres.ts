import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { startPostgres } from '@tarfleet/stack';

export interface BenchPostgres {
  pid: number;
  /** Makes an empty database; gives its URL. */
  database(name: string): Promise<string>;
  stop(): Promise<void>;
}

/** The embedded Postgres as the stack runs it, every commit on disk, and the number of its first process. */
export async function startBenchPostgres(dir: string): Promise<BenchPostgres> {
  const postgres = await startPostgres({ dir: join(dir, 'postgres') });
  const pidFile = await readFile(join(dir, 'postgres/data/postmaster.pid'), 'utf8');
  return {
    pid: Number(pidFile.split('\n')[0]),
    async database(name) {
      await postgres.ensureDatabase(name);
      return postgres.url(name);
    },
    stop: () => postgres.stop(),
  };
}
