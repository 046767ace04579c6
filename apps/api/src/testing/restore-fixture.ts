import type { JobEventBody, RestoreResult } from '@tarfleet/contracts';
import type { FullBackup, JobDraft, ServiceRecord } from '@tarfleet/db';
import { planRestore, type RestoreRequest } from '../planner/restore.ts';
import { planRollback } from '../planner/rollback.ts';
import { createRecorder, type Recorder } from '../recorder/record.ts';
import {
  artifactResult,
  attemptOf,
  backupResult,
  openRunFixture,
  queueThatIsDown,
  type RunFixture,
  STARTED,
  silent,
} from './run-fixture.ts';

type Ended = Omit<Extract<JobEventBody, { type: 'ended' }>, 'type'>;

export interface RestoreFixture {
  t: RunFixture;
  recorder: Recorder;
  /** A service with a path of its own, and a completed backup of it. */
  backedUp(): Promise<{ service: ServiceRecord; backup: FullBackup }>;
  /** A restore that is stored and that no queue knows of. */
  start(backup: FullBackup, change?: Partial<RestoreRequest>): Promise<JobDraft>;
  rollback(restoreId: string, action: 'undo' | 'forget'): Promise<JobDraft>;
  /** Begins and ends a job as a worker would. */
  end(job: Pick<JobDraft, 'id' | 'kind'>, how: Ended, attempt?: number): Promise<void>;
}

export async function openRestoreFixture(): Promise<RestoreFixture> {
  const t = await openRunFixture();
  const recorder = createRecorder({ db: t.db, logger: silent, sweepGraceMs: 0, onEnded: () => undefined });
  const submit = async (draft: Awaited<ReturnType<typeof planRestore>>): Promise<JobDraft> => {
    await t.dispatcherOn(queueThatIsDown()).submit(draft);
    return draft.root;
  };
  const end: RestoreFixture['end'] = (job, how, attempt = 1001) =>
    recorder.record(attemptOf(job, attempt)(1, STARTED, { type: 'ended', ...how }));
  let services = 0;
  return {
    ...{ t, recorder, end },
    async backedUp() {
      services += 1;
      const paths = { configPaths: [], dataPaths: [`/srv/app-${services}`] };
      const service = await t.addService(t.server.id, paths);
      const { job, children } = await t.storeBackup([service]);
      const { keyPrefix } = (await t.db.backups.get(job.id)) as FullBackup;
      const artifacts = children.map(({ id }) => artifactResult(id, keyPrefix));
      await end(job, { state: 'completed', result: backupResult(keyPrefix, { artifacts }) });
      return { service, backup: (await t.db.backups.get(job.id)) as FullBackup };
    },
    start: async (backup, change) =>
      submit(
        await planRestore(t, {
          ...{ backup, userId: t.user.id, requestId: 'r', target: null, services: null, paths: null },
          dropExisting: false,
          ...{ restorePath: null, overwrite: true, verifyIntegrity: true, rollback: true, keepHours: 24 },
          ...{ healthChecks: true, mayUseLocal: true },
          ...change,
        }),
      ),
    async rollback(restoreId, action) {
      const restore = await t.db.restores.get(restoreId);
      if (!restore) throw new Error('no such restore');
      const origin = { userId: t.user.id, requestId: 'r', mayUseLocal: true };
      return submit(await planRollback(t, { restore, action, ...origin }));
    },
  };
}

export function restoreResult(change: Partial<RestoreResult> = {}): RestoreResult {
  return {
    ...{ kind: 'restore', outcome: 'restored', rollbackPath: null, notRunning: [] },
    ...{ restored: ['app'], failed: [], filesRestored: 1, filesSkipped: 0, bytesRestored: 1 },
    ...change,
  };
}
