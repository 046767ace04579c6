import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Logger } from '@tarfleet/kernel';
import { type RunningPostgres, startPostgres } from './postgres.ts';
import { type Process, startProcess } from './processes.ts';
import { type FirstDestination, setUp } from './set-up.ts';

export interface StackOptions {
  /** Holds everything: Postgres, keys, the local destination. As root, not below a folder closed to others. */
  dir: string;
  logger: Logger;
  /** Of the API; a free one when 0. */
  port: number;
  host?: string;
  adminEmail: string;
  adminPassword?: string;
  /** Instead of the embedded Postgres. */
  databaseUrl?: string;
  /** Instead of the embedded Postgres: `redis://` or `postgres://`. */
  queueUrl?: string;
  /** Instead of a folder in `dir`. */
  destination?: FirstDestination;
  /** Folders in which `local` servers and destinations may lie, beside the stack's own destination. */
  localRoots: string[];
  workers: number;
  unsafeFast?: boolean;
  apiEnv?: Record<string, string>;
  workerEnv?: Record<string, string>;
  logLevel?: string;
  onLine?: (name: string, line: string) => void;
}

export interface RunningStack {
  url: string;
  adminEmail: string;
  /** Told when the admin was made just now. */
  newPassword: string | null;
  /** Told when the keyring was made just now. */
  recoveryKey: string | null;
  postgres: RunningPostgres | null;
  databaseUrl: string;
  queueUrl: string;
  api: Process;
  workers: Process[];
  /** One more worker, with more environment. */
  addWorker(env?: Record<string, string>): Promise<Process>;
  /** One more API process on a free port. */
  addApi(env?: Record<string, string>): Promise<{ process: Process; url: string }>;
  /** Resolves with the name of the first process that ends by itself. */
  failed: Promise<string>;
  stop(): Promise<void>;
}

/** Runs the whole system on this machine, API and workers as processes of their own. Starting again on the same folder goes on where it stopped. */
export async function startStack(options: StackOptions): Promise<RunningStack> {
  const { dir, logger } = options;
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const owned: { stop(): Promise<void> }[] = [];
  const stopAll = async (): Promise<void> => {
    for (const one of owned.splice(0).reverse()) await one.stop();
  };
  try {
    const needed = !options.databaseUrl || !options.queueUrl;
    const postgres = needed ? await startEmbedded(options) : null;
    if (postgres) owned.push(postgres);
    const databaseUrl = options.databaseUrl ?? embedded(postgres).url('tarfleet');
    const queueUrl = options.queueUrl ?? embedded(postgres).url('tarfleet_queue');
    const destinationDir = join(dir, 'backups');
    await mkdir(destinationDir, { recursive: true, mode: 0o700 });
    const { files, newPassword, recoveryKey } = await setUp({
      ...{ databaseUrl, queueUrl, logger, adminEmail: options.adminEmail },
      keysDir: join(dir, 'keys'),
      destination: options.destination ?? { type: 'local', path: destinationDir },
      ...(options.adminPassword === undefined ? {} : { adminPassword: options.adminPassword }),
    });
    const level = options.logLevel ?? 'info';
    let spawned = 0;
    let onFailed: (name: string) => void = () => {};
    const failed = new Promise<string>((resolve) => {
      onFailed = resolve;
    });
    const start = async (app: string, env: Record<string, string>) => {
      spawned += 1;
      const name = `${app.replace('apps/', '')}-${spawned}`;
      const started = await startProcess({
        ...{ name, app, env: { LOG_LEVEL: level, QUEUE_URL: queueUrl, ...env } },
        onLine: (line) => options.onLine?.(name, line),
      });
      owned.push(started.process);
      started.process.child.once('exit', () => onFailed(name));
      return started;
    };
    const addApi = async (env: Record<string, string> = {}) => {
      const { process, ready } = await start('apps/api', {
        HOST: options.host ?? '127.0.0.1',
        PORT: '0',
        DATABASE_URL: databaseUrl,
        API_KEYS_FILE: files.apiKeys,
        POOLS_FILE: files.pools,
        LOCAL_ALLOWED: 'true',
        ...options.apiEnv,
        ...env,
      });
      return { process, url: String(ready.url) };
    };
    const addWorker = async (env: Record<string, string> = {}) => {
      const { process } = await start('apps/worker', {
        POOL: 'default',
        POOL_KEYS_FILE: files.poolKeys,
        KEYRING_FILE: files.keyring,
        LOCAL_ROOTS: [destinationDir, ...options.localRoots].join(':'),
        ...options.workerEnv,
        ...env,
      });
      return process;
    };
    const api = await addApi({ PORT: String(options.port) });
    const workers = await Promise.all(Array.from({ length: options.workers }, () => addWorker()));
    return {
      ...{ url: api.url, adminEmail: options.adminEmail, newPassword, recoveryKey },
      ...{ postgres, databaseUrl, queueUrl },
      ...{ api: api.process, workers, addWorker, addApi, failed, stop: stopAll },
    };
  } catch (error) {
    await stopAll();
    throw error;
  }
}

async function startEmbedded(options: StackOptions): Promise<RunningPostgres> {
  const postgres = await startPostgres({
    dir: join(options.dir, 'postgres'),
    ...(options.unsafeFast ? { unsafeFast: true } : {}),
  });
  await postgres.ensureDatabase('tarfleet');
  await postgres.ensureDatabase('tarfleet_queue');
  return postgres;
}

function embedded(postgres: RunningPostgres | null): RunningPostgres {
  if (!postgres) throw new TypeError('The embedded Postgres runs whenever one of the URLs is missing');
  return postgres;
}
