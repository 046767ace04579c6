import type { TarEntry } from '@tarfleet/archive';
import type { RestorePlan } from '@tarfleet/contracts';
import type { PreparedRestore } from '@tarfleet/sources';
import type { JobContext } from '../job-context.ts';
import { resolveFolders } from '../jobs/destination-folders.ts';
import { createPace } from '../jobs/pace.ts';
import { withStorage } from '../jobs/with-storage.ts';
import { assertDatabasesAllowed } from './assert-databases-allowed.ts';
import type { JournalPart } from './journal.ts';
import { type OpenArtifact, openArtifacts, verifyStored } from './open-artifacts.ts';
import { prepareOptions } from './prepare-options.ts';
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
    await assertDatabasesAllowed(deps, plan);
    if (plan.verifyIntegrity) {
      await report.step(
        'verify_integrity',
        'Checking the stored archives',
        () => verifyStored(storage, context, opened),
        () => ({ message: 'Backup integrity verified successfully' }),
      );
    }
    const { session } = run.guard;
    const destinations = await resolveFolders(session, plan.destinationFolders ?? [], signal);
    const options = opened.map((one) => ({
      one,
      prepare: prepareOptions(plan, one, sourceContext(run, signal), destinations),
    }));
    await report.step(
      'preflight',
      `Looking at ${plan.server.name}: tools, places, space, services`,
      async () => {
        for (const { one, prepare } of options)
          await deps.sourceOf(one.artifact.service.type, plan.server).check(prepare);
        await run.services.findUp(signal);
      },
    );
    const counter = createCounter(context, opened);
    await report.step('prepare_data', 'Unpacking beside the places where the files belong', async () => {
      for (const { one, prepare } of options) {
        const { artifactId, service } = one.artifact;
        const others = run.journal.parts.filter((other) => other.artifactId !== artifactId);
        const notePart = (prepared: PreparedRestore): Promise<void> => {
          const part: JournalPart = { artifactId, service: service.name, prepared };
          return note(run, { phase: 'preparing', parts: [...others, part] });
        };
        const before = run.journal.parts.find((part) => part.artifactId === artifactId);
        const prepared = await deps.sourceOf(one.artifact.service.type, plan.server).prepare({
          ...prepare,
          onEntry: counter.see,
          openTar: () => one.opener.open(),
          claim: notePart,
          claimed: before?.prepared ?? null,
        });
        await notePart(prepared);
      }
    });
  });
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
