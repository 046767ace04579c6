import { Writable } from 'node:stream';
import { createDatabase, type Database, migrateDatabase, type Role, type UserRecord } from '@tarfleet/db';
import { createLogger } from '@tarfleet/kernel';
import { createQueueProducer, type QueueProducer } from '@tarfleet/queue';
import { createTestDatabase, testRedisUrl } from '@tarfleet/testbed';
import {
  createPasswords,
  createPlanSigner,
  createSecretBox,
  generateApiKeys,
  generatePoolKeys,
  type PoolKeys,
  publicHalf,
} from '@tarfleet/vault';
import type { LightMyRequestResponse } from 'fastify';
import type { Api } from '../api-type.ts';
import { buildApp } from '../app.ts';
import type { ApiVault, AppDeps } from '../deps.ts';
import { createDispatcher, type Dispatcher } from '../dispatcher.ts';
import { createDownloads, type Downloads } from '../downloads/downloads.ts';
import { readConfig } from '../env.ts';
import { createJobStarter } from '../job-starter.ts';
import { createLiveHub } from '../live/hub.ts';

export const PASSWORD = 'correct horse battery';

/** A request in short: what is left out is left out. */
export interface Ask {
  token?: string;
  cookie?: string;
  body?: unknown;
  headers?: Record<string, string>;
}

export interface TestApp {
  app: Api;
  db: Database;
  databaseUrl: string;
  vault: ApiVault;
  queue: QueueProducer;
  dispatcher: Dispatcher;
  downloads: Downloads;
  /** Every line logged so far. */
  logged(): string;
  pools: Record<'default' | 'far', PoolKeys>;
  /** A user with PASSWORD. */
  user(role: Role, email?: string): Promise<UserRecord>;
  /** A session's token. */
  login(email: string): Promise<string>;
  /** A user of this role who has signed in; with projects, a member of each. */
  as(role: Role, ...projects: number[]): Promise<{ user: UserRecord; token: string }>;
  ask(
    method: 'GET' | 'POST' | 'PATCH' | 'PUT' | 'DELETE',
    url: string,
    ask?: Ask,
  ): Promise<LightMyRequestResponse>;
  /** Another app on the same database, as a second replica. */
  replica(changes?: { db: Database }): Promise<Api>;
  close(): Promise<void>;
}

export interface TestAppOptions {
  env?: Record<string, string>;
  clock?: () => Promise<Date>;
  queueUrl?: string;
}

/** The API on a database of its own; every answer is compared with its schema. */
export async function buildTestApp(options: TestAppOptions = {}): Promise<TestApp> {
  const { url, drop } = await createTestDatabase();
  await migrateDatabase(url);
  const lines: string[] = [];
  const destination = new Writable({
    write(chunk, _encoding, done) {
      lines.push(String(chunk));
      done();
    },
  });
  const logger = createLogger({ level: 'trace', process: 'api', destination });
  const keys = generateApiKeys();
  const pools = {
    default: generatePoolKeys('default', keys.signing),
    far: generatePoolKeys('far', keys.signing),
  };
  const db = createDatabase({ url, logger });
  const queue = await createQueueProducer({ url: options.queueUrl ?? testRedisUrl(), logger });
  const hub = createLiveHub({ databaseUrl: url, logger });
  const signer = createPlanSigner(keys.signing[0]!);
  const dispatcher = createDispatcher({ db, queue, signer, logger });
  const vault = {
    jwtSecret: Buffer.from(keys.jwtSecret, 'base64url'),
    box: createSecretBox(keys.box),
    pools: new Map(Object.entries(pools).map(([name, pool]) => [name, publicHalf(pool)])),
  };
  const downloads = createDownloads({ db, logger, most: 4 });
  const deps: AppDeps = {
    config: readConfig({
      DATABASE_URL: url,
      QUEUE_URL: url,
      API_KEYS: '{}',
      POOLS: '{}',
      LOCAL_ALLOWED: 'true',
      RATE_LIMIT_LOGINS_PER_MINUTE: '1000',
      ...options.env,
    }),
    logger,
    db,
    clock: options.clock ?? (() => db.schedules.clock()),
    queue,
    vault,
    jobs: createJobStarter({ db, keys: vault, dispatcher, sweepGraceMs: 0 }),
    dispatcher,
    hub,
    cancel: { db, queue, logger, sweepGraceMs: 0, onEnded: () => undefined },
    downloads,
    checkResponses: true,
  };
  const app = await buildApp(deps);
  const replicas: Api[] = [app];
  const passwordHash = await createPasswords().hash(PASSWORD);

  const user: TestApp['user'] = (role, email = `${role}-${crypto.randomUUID()}@example.com`) =>
    db.users.create({ email, role, passwordHash });
  const ask: TestApp['ask'] = (method, path, { token, cookie, body, headers } = {}) =>
    app.inject({
      method,
      url: path,
      headers: {
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
        ...(cookie === undefined ? {} : { cookie }),
        ...headers,
      },
      ...(body === undefined ? {} : { payload: body as object }),
    });
  const login: TestApp['login'] = async (email) => {
    const answer = await ask('POST', '/api/auth/login', { body: { email, password: PASSWORD } });
    return answer.json<{ data: { token: string } }>().data.token;
  };
  return {
    app,
    db,
    databaseUrl: url,
    vault,
    queue,
    dispatcher,
    downloads,
    logged: () => lines.join(''),
    pools,
    user,
    login,
    ask,
    async as(role, ...projects) {
      const made = await user(role);
      for (const projectId of projects) await db.projectMembers.add({ projectId, userId: made.id, role });
      return { user: made, token: await login(made.email) };
    },
    async replica(changes) {
      const other = await buildApp({ ...deps, ...changes });
      replicas.push(other);
      return other;
    },
    async close() {
      await hub.close();
      await downloads.close(0);
      for (const one of replicas) await one.close();
      await queue.close();
      await db.close();
      await drop();
    },
  };
}
