import { setTimeout as sleep } from 'node:timers/promises';
import type { EventBatch, Failure, JobKind } from '@tarfleet/contracts';
import type { JobRecord } from '@tarfleet/db';
import { createRecorder } from '../recorder/record.ts';
import { artifactResult, attemptOf, backupResult, STARTED, silent } from './run-fixture.ts';
import { buildTestApp, type TestApp, type TestAppOptions } from './test-app.ts';

type Ended = Extract<EventBatch['events'][number], { type: 'ended' }>;

export interface BackupWorld {
  t: TestApp;
  /** An administrator's. */
  token: string;
  projectId: number;
  serverId: string;
  serviceId: string;
  destinationId: string;
  /** A completed backup. */
  backedUp(): Promise<string>;
  /** The running job of this kind, as soon as it is there. */
  running(kind: JobKind): Promise<JobRecord>;
  /** Begins a job as a worker would. */
  begin(job: Pick<JobRecord, 'id' | 'kind'>): Promise<void>;
  /** Ends a job as a worker would. */
  end(job: Pick<JobRecord, 'id' | 'kind'>, ended: Pick<Ended, 'result' | 'failure'>): Promise<void>;
  close(): Promise<void>;
}

/** The API with a pinned server, a service and a default destination, and jobs that end as the test says. */
export async function openBackupWorld(options: TestAppOptions = {}): Promise<BackupWorld> {
  const t = await buildTestApp(options);
  const { token } = await t.as('admin');
  const { id: projectId } = await t.db.projects.ensureDefault();
  const { id: serverId } = await t.db.servers.create({
    ...{ projectId, name: 'db1', kind: 'ssh', host: 'db1.example.com', port: 22, username: 'root' },
    ...{ authType: 'private_key', hostKeyFingerprint: 'SHA256:abc', pool: 'default', becomeMethod: null },
    ...{ jumpId: null, environment: null, sealed: { v: 1, keyId: 'k1', enc: 'AAAA', ct: 'BBBB' } },
  });
  const { id: serviceId } = await t.db.services.create({
    ...{ serverId, name: 'app', type: 'files', component: 'files', configPaths: [], dataPaths: ['/srv/app'] },
    ...{ exclude: [], backupPriority: 0, dependsOn: [], settings: {} },
  });
  const { id: destinationId } = await t.db.destinations.create({
    ...{ name: 'main', type: 'local', config: { path: '/srv/backups' }, secretCiphertext: null },
    ...{ retentionDays: null, isDefault: true },
  });
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });

  const attempts = new Map<string, ReturnType<typeof attemptOf>>();
  const begin: BackupWorld['begin'] = async (job) => {
    const attempt = attemptOf(job);
    attempts.set(job.id, attempt);
    await recorder.record(attempt(1, STARTED));
  };
  const end: BackupWorld['end'] = async (job, ended) => {
    if (!attempts.has(job.id)) await begin(job);
    const state = ended.failure ? ('failed' as const) : ('completed' as const);
    const attempt = attempts.get(job.id);
    if (attempt) await recorder.record(attempt(2, { type: 'ended', state, ...ended }));
  };
  return {
    ...{ t, token, projectId, serverId, serviceId, destinationId, begin, end },
    async backedUp() {
      const body = { type: 'full', encrypt: false };
      const answer = await t.ask('POST', '/api/backups/create', { token, body });
      const id: string = answer.json().data.backup_id;
      const { keyPrefix } = (await t.db.backups.get(id))!;
      const artifacts = (await t.db.jobs.children(id)).map((child) => artifactResult(child.id, keyPrefix));
      await end({ id, kind: 'backup' }, { result: backupResult(keyPrefix, { artifacts }) });
      return id;
    },
    async running(kind) {
      for (;;) {
        const all = await t.db.jobs.unchecked(new Date(Date.now() + 60_000), 100);
        const found = all.find((job) => job.kind === kind);
        if (found) return found;
        await sleep(20);
      }
    },
    close: () => t.close(),
  };
}

export const failure = (code: Failure['code']): { failure: Failure } => ({
  failure: { code, message: `It came to ${code}.`, retryable: false },
});
