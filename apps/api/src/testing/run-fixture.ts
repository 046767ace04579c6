import { randomBytes, randomUUID } from 'node:crypto';
import type { ArtifactResult, BackupResult, EventBatch, JobEventBody } from '@tarfleet/contracts';
import {
  createDatabase,
  type Database,
  type DestinationRecord,
  type JobRecord,
  migrateDatabase,
  type NewServer,
  type NewService,
  type ServerRecord,
  type ServiceRecord,
  type UserRecord,
} from '@tarfleet/db';
import { AppError, createLogger } from '@tarfleet/kernel';
import type { QueueProducer } from '@tarfleet/queue';
import { createTestDatabase } from '@tarfleet/testbed';
import {
  createPlanSigner,
  createSecretBox,
  generateApiKeys,
  generatePoolKeys,
  publicHalf,
} from '@tarfleet/vault';
import { createDispatcher } from '../dispatcher.ts';
import { type BackupRequest, planBackup } from '../planner/backup.ts';
import type { PlanKeys } from '../planner/targets.ts';

export const silent = createLogger({ level: 'silent', process: 'test' });

export type RunFixture = Awaited<ReturnType<typeof openRunFixture>>;

/** What runs stand on: a migrated database with a project, a user, a pinned server and a default destination. */
export async function openRunFixture() {
  const { url, drop } = await createTestDatabase();
  await migrateDatabase(url);
  const db: Database = createDatabase({ url, logger: silent });
  const project = await db.projects.create({ name: 'alpha' });
  const user: UserRecord = await db.users.create({
    ...{ email: `a${randomUUID()}@example.com`, role: 'admin', passwordHash: 'x' },
  });
  const apiKeys = generateApiKeys();
  const pool = generatePoolKeys('default', apiKeys.signing);
  const keys: PlanKeys = {
    box: createSecretBox(apiKeys.box),
    pools: new Map([['default', publicHalf(pool)]]),
  };
  const [signingKey] = apiKeys.signing;
  if (!signingKey) throw new Error('no signing key');
  const signer = createPlanSigner(signingKey);

  const addServer = (change: Partial<NewServer> = {}): Promise<ServerRecord> =>
    db.servers.create({
      ...{ projectId: project.id, name: `server ${randomUUID()}`, kind: 'ssh', host: 'db1.example.com' },
      ...{ port: 22, username: 'root', authType: 'private_key', hostKeyFingerprint: 'SHA256:abc' },
      ...{ pool: 'default', becomeMethod: null, jumpId: null, environment: null },
      sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' },
      ...change,
    });
  const addService = (serverId: string, change: Partial<NewService> = {}): Promise<ServiceRecord> =>
    db.services.create({
      ...{ serverId, name: `service ${randomUUID()}`, type: 'files', component: 'files' },
      ...{ configPaths: ['/etc/app'], dataPaths: ['/srv/app'], exclude: [], backupPriority: 0 },
      ...{ dependsOn: [], settings: {} },
      ...change,
    });
  const server = await addServer();
  const destination: DestinationRecord = await db.destinations.create({
    ...{ name: 'main', type: 'local', config: { path: '/srv/backups' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: true },
  });

  const request = (change: Partial<BackupRequest> = {}): BackupRequest => ({
    ...{
      projectId: project.id,
      userId: user.id,
      scheduleId: null,
      requestId: 'req',
      dialect: 'botserver',
      type: 'full',
      name: 'nightly',
    },
    ...{ description: null, components: null, services: null, serverId: null, destinationId: null },
    ...{
      encrypt: false,
      retentionDays: 7,
      verify: true,
      compression: { enabled: true, level: 6 },
      deduplicate: false,
      warnings: [],
    },
    ...change,
  });
  const dispatcherOn = (queue: QueueProducer) => createDispatcher({ db, queue, signer, logger: silent });
  /** A backup that is stored and that no queue knows of. */
  const storeBackup = async (services: ServiceRecord[], change: Partial<BackupRequest> = {}) => {
    const draft = await planBackup(
      { db, keys },
      request({ services: services.map(({ id }) => id), ...change }),
    );
    await dispatcherOn(queueThatIsDown()).submit(draft);
    const job = await db.jobs.get(draft.root.id);
    if (!job) throw new Error('not stored');
    return { job, draft, children: await db.jobs.children(job.id) };
  };
  return {
    ...{ db, url, project, user, keys, server, destination, addServer, addService },
    poolKeys: pool.keys,
    ...{ request, dispatcherOn, storeBackup },
    async close() {
      await db.close();
      await drop();
    },
  };
}

/** Every call rejects as one to a server that is away. */
export function queueThatIsDown(): QueueProducer {
  const down = async (): Promise<never> => {
    throw new AppError('UNAVAILABLE', 'The queue is down.', { retryable: true });
  };
  return {
    ...{
      enqueue: down,
      enqueueFlow: down,
      state: down,
      hasBegun: down,
      remove: down,
      removeWaitingChildren: down,
    },
    ...{ requestCancel: down, clearCancel: down, depth: down, ping: down, close: async () => undefined },
  };
}

/** Batches as the worker of one attempt would send them. */
export function attemptOf(job: Pick<JobRecord, 'id' | 'kind'>, attempt = 1001) {
  const token = randomBytes(6).toString('hex');
  return (firstSeq: number, ...bodies: JobEventBody[]): EventBatch => ({
    ...{ v: 1, type: 'events', jobId: job.id, kind: job.kind, attempt, token },
    events: bodies.map(
      (body, index) =>
        ({ ...body, seq: firstSeq + index, at: '2026-01-02T03:04:05.000Z' }) as EventBatch['events'][number],
    ),
  });
}

export const STARTED: JobEventBody = { type: 'started', worker: 'w1' };
export const COMPLETED: JobEventBody = { type: 'ended', state: 'completed' };
export const step = (
  number: number,
  status: 'started' | 'completed',
  name = `step-${number}`,
): JobEventBody => ({
  ...{ type: 'step', number, name, status, message: `message ${number}` },
});

export function artifactResult(artifactId: string, keyPrefix: string, attempt = 1001): ArtifactResult {
  return {
    ...{
      kind: 'artifact',
      artifactId,
      attempt,
      key: `${keyPrefix}/${artifactId}/${attempt}-abcdefabcdef.tar.gz`,
    },
    ...{ index: null, parent: null, ancestors: [] },
    ...{ sha256: 'a'.repeat(64), storedBytes: 10, tarBytes: 40, contentBytes: 20, files: 2, directories: 1 },
    ...{
      otherEntries: 0,
      warnings: 1,
      startedAt: '2026-01-02T03:00:00.000Z',
      endedAt: '2026-01-02T03:01:00.000Z',
    },
  };
}

export function backupResult(keyPrefix: string, change: Partial<BackupResult>): BackupResult {
  return {
    ...{ kind: 'backup', manifestKey: `${keyPrefix}/manifest.json`, manifestSha256: 'b'.repeat(64) },
    ...{ artifacts: [], failed: [], verifiedAt: null },
    ...change,
  };
}
