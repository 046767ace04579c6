import type { RestoreResult } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { RestoreSummary } from '@tarfleet/sources';
import { applyAll, tryToForgetAll } from './files.ts';
import { patiently } from './interruption.ts';
import { foldersOf, note, type RestoreRun, sentence } from './restore-run.ts';
import type { Trouble } from './running-services.ts';
import { unpack } from './unpack.ts';

/** From wherever the journal stands to the commit. What it throws is for the caller to judge. */
export async function goForward(run: RestoreRun): Promise<RestoreResult> {
  const { signal } = run.context;
  signal.throwIfAborted();
  if (run.journal.phase === 'preparing') {
    await unpack(run);
    await createRollbackPoint(run);
  }
  if (run.journal.phase === 'stopping') await stopServices(run);
  const summary = await putInPlace(run);
  await startServices(run);
  signal.throwIfAborted();
  return commit(run, summary);
}

/** The unpacked files and the services that run are in the journal: from here on any worker can go on. */
async function createRollbackPoint(run: RestoreRun): Promise<void> {
  const { report, signal, plan } = run.context;
  const folders = foldersOf(run);
  await report.step(
    'create_rollback',
    'Preparing the way back',
    async () => {
      const up = await run.services.findUp(signal);
      await note(run, { phase: 'stopping', up });
    },
    () => ({
      message: plan.rollback
        ? `Rollback point created: ${folders.join(', ')}`
        : 'No rollback point was asked for: what is there is kept until the new files are in place',
      details: { folders, running: run.services.namesOf(run.journal.up) },
    }),
  );
}

async function stopServices(run: RestoreRun): Promise<void> {
  const { report, signal } = run.context;
  const names = run.services.namesOf(run.journal.up);
  await report.step(
    'stop_services',
    names.length > 0 ? `Stopping ${names.join(', ')}` : 'No service has to be stopped',
    async () => {
      await patiently(() => run.context.delivery.assertOwned(), signal);
      await run.services.stop(run.journal.up, signal);
    },
    () => ({ details: { stopped: names } }),
  );
}

async function putInPlace(run: RestoreRun): Promise<RestoreSummary> {
  const { report, signal, delivery } = run.context;
  return report.step(
    'restore_data',
    'Putting the files in their places',
    async () => {
      await patiently(() => delivery.assertOwned(), signal);
      if (run.journal.phase === 'stopping') await note(run, { phase: 'applying' });
      const summary = await applyAll(run, signal);
      if (run.journal.phase === 'applying') await note(run, { phase: 'starting' });
      return summary;
    },
    (summary) => ({ details: { ...summary } }),
  );
}

async function startServices(run: RestoreRun): Promise<void> {
  const { report, signal, plan } = run.context;
  const names = run.services.namesOf(run.journal.up);
  await report.step(
    'restart_services',
    names.length > 0 ? `Starting ${names.join(', ')}` : 'No service has to be started',
    async () => assertNone('did not start', await run.services.start(run.journal.up, signal)),
    () => ({ details: { started: names } }),
  );
  if (!plan.healthChecks) return;
  await report.step(
    'health_checks',
    'Checking that the services are healthy',
    async () => assertNone('is not healthy', await run.services.check(run.journal.up, signal)),
    () => ({ message: 'All services are healthy', details: { checked: names } }),
  );
}

/** From here on it counts. */
async function commit(run: RestoreRun, summary: RestoreSummary): Promise<RestoreResult> {
  const { plan } = run.context;
  const keepOld = plan.rollback && plan.keepHours > 0;
  const result: RestoreResult = {
    kind: 'restore',
    outcome: 'restored',
    rollbackPath: keepOld ? (foldersOf(run)[0] ?? null) : null,
    notRunning: [],
    restored: run.journal.parts.map(({ service }) => service),
    failed: [],
    ...summary,
  };
  await complete(run, result);
  return result;
}

/**
 * Writes the end down, where that has not been done, then removes what nobody needs any more; what can no longer be
 * removed does not make it less of a restore. May be repeated: an attempt may end between the two.
 */
export async function complete(run: RestoreRun, result: RestoreResult): Promise<void> {
  const keepOld = result.rollbackPath !== null;
  await run.context.report.step(
    'complete',
    keepOld ? 'Keeping what was there before' : 'Removing what was there before',
    async () => {
      if (!run.journal.end) {
        await note(run, { phase: 'ended', end: { result, failure: null } });
      }
      await tryToForgetAll(run, keepOld);
    },
    () => ({ message: 'Restore completed successfully' }),
  );
}

function assertNone(what: string, troubles: readonly Trouble[]): void {
  if (troubles.length === 0) return;
  const told = troubles.map(({ service, message }) => `${service} ${what}: ${message}`);
  throw new AppError('RESTORE_FAILED', sentence(told.join(' ')));
}
