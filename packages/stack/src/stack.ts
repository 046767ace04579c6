import { mkdir } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import type { Logger } from '@tarfleet/kernel';
import { assertPortFree } from './assert-port-free.ts';
import { type FolderLock, lockFolder } from './folder-lock.ts';
import { type RunningPostgres, startPostgres } from './postgres.ts';
import { type Process, startProcess } from './processes.ts';
import { ensureAdmin, type FirstDestination, setUp } from './set-up.ts';

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
  /** Ends a start that is under way: what runs already is stopped, and its reason thrown. Without effect afterwards. */
  signal?: AbortSignal;
}

/** As long as a killed stack's API may take to end. */
const OLD_API_MS = 45_000;

export interface RunningStack {
  url: string;
  adminEmail: string;
  /** Told when the admin was made just now. */
  newPassword: string | null;
  /** Told with the password. */
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

/**
 * Runs the whole system on this machine, API and workers as processes of their own. Starting again on the same folder
 * goes on where it stopped, even when it was killed. Throws when another stack has the folder, or a program the port.
 */
export async function startStack(options: StackOptions): Promise<RunningStack> {
  const { dir, logger } = options;
  await mkdir(dir, { recursive: true, mode: 0o755 });
  const host = options.host ?? '127.0.0.1';
  const running = {
    postgres: null as RunningPostgres | null,
    apis: [] as Process[],
    workers: [] as Process[],
  };
  const lock = await lockFolder(dir);
  let stopped: Promise<void> | null = null;
  const stop = (): Promise<void> => {
    stopped ??= stopAll(running, lock);
    return stopped;
  };
  try {
    if (options.port !== 0) {
      await assertPortFree(host, options.port, lock.takenOver ? OLD_API_MS : 0);
    }
    const needed = !options.databaseUrl || !options.queueUrl;
    const postgres = needed ? await startEmbedded(options) : null;
    running.postgres = postgres;
    options.signal?.throwIfAborted();
    const databaseUrl = options.databaseUrl ?? embedded(postgres).url('tarfleet');
    const queueUrl = options.queueUrl ?? embedded(postgres).url('tarfleet_queue');
    const destinationDir = join(dir, 'backups');
    await mkdir(destinationDir, { recursive: true, mode: 0o700 });
    const { files, recoveryKey } = await setUp({
      ...{ databaseUrl, queueUrl, logger, keysDir: join(dir, 'keys') },
      destination: options.destination ?? { type: 'local', path: destinationDir },
    });
    options.signal?.throwIfAborted();
    const level = options.logLevel ?? 'info';
    let spawned = 0;
    let onFailed: (name: string) => void = () => {};
    const failed = new Promise<string>((resolve) => {
      onFailed = resolve;
    });
    void postgres?.ended.then(() => onFailed('postgres'));
    const start = async (app: string, owner: Process[], env: Record<string, string>) => {
      spawned += 1;
      const name = `${app.replace('apps/', '')}-${spawned}`;
      const started = await startProcess({
        ...{ name, app, env: { LOG_LEVEL: level, QUEUE_URL: queueUrl, ...env } },
        onLine: (line) => options.onLine?.(name, line),
      });
      owner.push(started.process);
      started.process.child.once('exit', () => onFailed(name));
      return started;
    };
    const addApi = async (env: Record<string, string> = {}) => {
      const { process, ready } = await start('apps/api', running.apis, {
        HOST: host,
        PORT: '0',
        DATABASE_URL: databaseUrl,
        API_KEYS_FILE: files.apiKeys,
        POOLS_FILE: files.pools,
        LOCAL_ALLOWED: 'true',
        LOCAL_ROOTS: [destinationDir, ...options.localRoots].join(':'),
        ...options.apiEnv,
        ...env,
      });
      return { process, url: String(ready.url) };
    };
    const addWorker = async (env: Record<string, string> = {}) => {
      const { process } = await start('apps/worker', running.workers, {
        POOL: 'default',
        POOL_KEYS_FILE: files.poolKeys,
        KEYRING_FILE: files.keyring,
        LOCAL_ROOTS: [destinationDir, ...options.localRoots].join(':'),
        // Some for files and names besides those that compress.
        UV_THREADPOOL_SIZE: String(availableParallelism() + 2),
        ...options.workerEnv,
        ...env,
      });
      return process;
    };
    const api = await addApi({ PORT: String(options.port) });
    options.signal?.throwIfAborted();
    // All of them, even when one fails: what is still starting could not be stopped.
    const starting = Array.from({ length: options.workers }, () => addWorker());
    await Promise.allSettled(starting);
    const workers = await Promise.all(starting);
    options.signal?.throwIfAborted();
    const newPassword = await ensureAdmin({
      ...{ databaseUrl, logger, email: options.adminEmail },
      ...(options.adminPassword === undefined ? {} : { password: options.adminPassword }),
    });
    return {
      ...{ url: api.url, adminEmail: options.adminEmail, newPassword, postgres, databaseUrl, queueUrl },
      // Told with the password, so that a first start that failed in between does not swallow it.
      recoveryKey: newPassword === null ? null : recoveryKey,
      ...{ api: api.process, workers, addWorker, addApi, failed, stop },
    };
  } catch (error) {
    await stop();
    throw error;
  }
}

/** Each after those who use it; workers side by side, since each may take as long as its jobs are given. */
async function stopAll(
  running: { postgres: RunningPostgres | null; apis: Process[]; workers: Process[] },
  lock: FolderLock,
): Promise<void> {
  await Promise.all(running.workers.map((worker) => worker.stop()));
  await Promise.all(running.apis.map((api) => api.stop()));
  await running.postgres?.stop();
  await lock.release();
}

async function startEmbedded(options: StackOptions): Promise<RunningPostgres> {
  const postgres = await startPostgres({
    dir: join(options.dir, 'postgres'),
    ...(options.unsafeFast ? { unsafeFast: true } : {}),
  });
  try {
    await postgres.ensureDatabase('tarfleet');
    await postgres.ensureDatabase('tarfleet_queue');
    return postgres;
  } catch (error) {
    await postgres.stop();
    throw error;
  }
}

function embedded(postgres: RunningPostgres | null): RunningPostgres {
  if (!postgres) throw new TypeError('The embedded Postgres runs whenever one of the URLs is missing');
  return postgres;
}
