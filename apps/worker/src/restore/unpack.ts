import type { TarEntry } from '@tarfleet/archive';
import type { RestorePlan, ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { PrepareOptions } from '@tarfleet/sources';
import type { JobContext } from '../job-context.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import type { JournalPart } from './journal.ts';
import { type OpenArtifact, openArtifacts, verifyStored } from './open-artifacts.ts';
import { note, type RestoreRun, sourceContext } from './restore-run.ts';

/**
 * Everything that needs no service to stand still: the stored archives checked, the server looked at, the files
 * unpacked beside their places. Nothing is changed but working folders of our own.
 */
export async function unpack(run: RestoreRun): Promise<void> {
  const { deps, context } = run;
  const { plan, report, signal } = context;
  await note(run, { phase: 'preparing' });
  await withStorage(deps, plan.destination, async (storage) => {
    const opened = await openArtifacts(deps, storage, plan, signal);
    const paths =
      plan.restorePath === null ? opened.flatMap(({ artifact }) => artifact.roots) : [plan.restorePath];
    await deps.assertPathsAllowed(plan.server, paths);
    if (plan.verifyIntegrity) {
      await report.step(
        'verify_integrity',
        'Checking the stored archives',
        () => verifyStored(storage, context, opened),
        () => ({ message: 'Backup integrity verified successfully' }),
      );
    }
    const options = opened.map((one) => ({ one, prepare: prepareOptions(run, one) }));
    await report.step(
      'preflight',
      `Looking at ${plan.server.name}: tools, places, space, services`,
      async () => {
        for (const { one, prepare } of options) await deps.sourceOf(one.artifact.service.type).check(prepare);
        await run.services.findUp(signal);
      },
    );
    const counter = createCounter(context, opened);
    await report.step('prepare_data', 'Unpacking beside the places where the files belong', async () => {
      for (const { one, prepare } of options) {
        const { artifactId, service } = one.artifact;
        const prepared = await deps.sourceOf(one.artifact.service.type).prepare({
          ...prepare,
          onEntry: counter.see,
          openTar: () => one.opener.open(),
        });
        const part: JournalPart = { artifactId, service: service.name, prepared };
        const others = run.journal.parts.filter((other) => other.artifactId !== artifactId);
        await note(run, { phase: 'preparing', parts: [...others, part] });
      }
    });
  });
}

function prepareOptions(
  run: RestoreRun,
  { artifact, opener }: OpenArtifact,
): Omit<PrepareOptions, 'openTar' | 'onEntry'> {
  const { plan, signal } = run.context;
  const { id, name, type, component } = artifact.service;
  const service: ServiceTarget = {
    ...{ id, name, type, component, exclude: artifact.exclude },
    configPaths: [],
    dataPaths: artifact.roots,
  };
  return {
    ...sourceContext(run, signal),
    service,
    jobId: `${plan.jobId}-${artifact.artifactId.slice(-12)}`,
    roots: opener.roots,
    extras: opener.extras,
    needs: opener.needs,
    restorePath: plan.restorePath,
    overwrite: plan.overwrite,
    keep: [...plan.keep.map((path) => Buffer.from(path)), ...unreadableOf(plan, artifact, opener)],
  };
}

/** What the backup could not read is on the server alone: it must not make way for what the backup holds. */
function unreadableOf(
  { overwrite }: RestorePlan,
  { service }: OpenArtifact['artifact'],
  { unreadable }: OpenArtifact['opener'],
): Buffer[] {
  if (unreadable !== null || !overwrite) return unreadable ?? [];
  throw new AppError(
    'RESTORE_FAILED',
    `The backup of ${service.name} could not read more paths than it names: to replace everything would lose them. Restore to another folder, or without overwriting.`,
  );
}

function createCounter(context: JobContext<RestorePlan>, opened: readonly OpenArtifact[]) {
  const bytesTotal = opened.reduce((sum, { opener }) => sum + opener.needs.bytes, 0);
  const filesTotal = opened.reduce((sum, { opener }) => sum + opener.needs.files, 0);
  const pace = createPace(bytesTotal);
  let bytesDone = 0;
  let filesDone = 0;
  return {
    see(entry: TarEntry): void {
      if (entry.type === 'file' || entry.type === 'hardlink') filesDone += 1;
      if (entry.type === 'file') bytesDone += entry.size;
      context.progress({
        ...{ phase: 'restoring', bytesDone, bytesTotal, filesDone, filesTotal },
        current: `/${entry.path.toString('utf8')}`,
        ...pace.at(bytesDone),
      });
    },
  };
}
