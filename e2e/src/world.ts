import { chmod, mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createLogger } from '@tarfleet/kernel';
import { type RunningStack, type StackOptions, startStack } from '@tarfleet/stack';
import { createTestDatabase, type RunningSshd, startSshd, testRedisUrl } from '@tarfleet/testbed';
import { type Client, signIn } from './client.ts';

export const BACKENDS = ['postgres', 'redis'] as const;
export type Backend = (typeof BACKENDS)[number];

export interface World {
  stack: RunningStack;
  client: Client;
  sshd: RunningSshd;
  /** A folder of the test's own, whose paths servers may be asked for. */
  dir: string;
  /** Adds the world's sshd as a server of the default project. */
  addServer(name: string): Promise<string>;
  /** Adds a service of type `files`; gives its id. */
  addService(serverId: string, name: string, dataPaths: string[], more?: object): Promise<string>;
  /** Starts a backup; gives its id. */
  startBackup(body?: object): Promise<string>;
  /** Everything the processes have logged. */
  logs(): string;
  close(): Promise<void>;
}

export const PASSWORD = 'test-password-1';

/** The whole system as processes, with short periods, on the shared test servers; and a real sshd to back up. */
export async function createWorld(
  backend: Backend,
  { serverEnv, ...options }: Partial<StackOptions> & { serverEnv?: Record<string, string> } = {},
): Promise<World> {
  const dir = await mkdtemp(join(tmpdir(), 'tarfleet-e2e-'));
  await chmod(dir, 0o755);
  await mkdir(join(dir, 'data'));
  const database = await createTestDatabase();
  const queueDatabase = backend === 'postgres' ? await createTestDatabase() : null;
  const sshd = await startSshd(serverEnv ? { env: serverEnv } : {});
  let logs = '';
  const closeRest = async (): Promise<void> => {
    await sshd.stop();
    await database.drop();
    await queueDatabase?.drop();
    await rm(dir, { recursive: true, force: true });
  };
  const starting = startStack({
    dir: join(dir, 'stack'),
    logger: createLogger({ level: 'silent', process: 'test' }),
    port: 0,
    adminEmail: 'admin@localhost',
    adminPassword: PASSWORD,
    databaseUrl: database.url,
    queueUrl: options.queueUrl ?? queueDatabase?.url ?? testRedisUrl(),
    localRoots: [dir],
    workers: 1,
    logLevel: 'debug',
    onLine: (name, line) => {
      logs += `${name} ${line}\n`;
    },
    ...options,
    apiEnv: {
      RATE_LIMIT_STATUS_PER_MINUTE: '1000000',
      RATE_LIMIT_RESTORES_PER_HOUR: '1000',
      RATE_LIMIT_VERIFY_PER_HOUR: '1000',
      SWEEP_GRACE_MS: '500',
      RECONCILE_EVERY_MS: '500',
      RECONCILE_PATIENCE_MS: '5000',
      ...options.apiEnv,
    },
    workerEnv: {
      LOCK_MS: '4000',
      STALLED_CHECK_MS: '1000',
      HEARTBEAT_MS: '1000',
      GRACE_MS: '2000',
      ...options.workerEnv,
    },
  });
  // Nobody could stop what stands around a stack that did not start.
  const stack = await starting.catch(async (error: unknown) => {
    await closeRest();
    throw error;
  });
  const client = await signIn(stack.url, stack.adminEmail, PASSWORD);
  return {
    stack,
    client,
    sshd,
    dir,
    async addServer(name) {
      const { data } = await client.must('POST', '/api/servers', {
        name,
        kind: 'ssh',
        host: sshd.host,
        port: sshd.port,
        username: sshd.username,
        auth: { type: 'private_key', private_key: sshd.privateKey },
        host_key_fingerprint: sshd.fingerprint,
      });
      return data.id;
    },
    async addService(serverId, name, dataPaths, more = {}) {
      const body = {
        name,
        type: 'files',
        component: 'files',
        config_paths: [],
        data_paths: dataPaths,
        ...more,
      };
      const { data } = await client.must('POST', `/api/servers/${serverId}/services`, body);
      return data.id;
    },
    async startBackup(body = {}) {
      const answer = await client.must('POST', '/api/backups/create', {
        type: 'full',
        encrypt: false,
        ...body,
      });
      return answer.data.backup_id;
    },
    logs: () => logs,
    async close() {
      await stack.stop();
      await closeRest();
    },
  };
}
