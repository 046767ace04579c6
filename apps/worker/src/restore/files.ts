import { DATABASE_TYPES } from '@tarfleet/contracts';
import type { PreparedRestore, RestoreSummary, Source } from '@tarfleet/sources';
import { resolveFolders } from '../jobs/destination-folders.ts';
import type { Journal } from './journal.ts';
import { type OnServer, sourceContext } from './restore-run.ts';

/** Whoever prepared it knows how it goes on. */
function sourceOf(run: OnServer, { state }: PreparedRestore): Source {
  const { kind } = (state ?? {}) as { kind?: unknown };
  const type = DATABASE_TYPES.find((one) => one === kind) ?? 'files';
  return run.deps.sourceOf(type, run.context.plan.server);
}

/** Puts every part in its place. May be repeated. */
export async function applyAll(run: OnServer, signal: AbortSignal): Promise<RestoreSummary> {
  const total: RestoreSummary = { filesRestored: 0, filesSkipped: 0, bytesRestored: 0 };
  for (const { prepared } of run.journal.parts) {
    const summary = await sourceOf(run, prepared).apply(prepared, sourceContext(run, signal));
    total.filesRestored += summary.filesRestored;
    total.filesSkipped += summary.filesSkipped;
    total.bytesRestored += summary.bytesRestored;
  }
  return total;
}

/** Takes every part back. May be repeated. */
export async function undoAll(run: OnServer): Promise<void> {
  for (const { prepared } of [...run.journal.parts].reverse()) {
    await sourceOf(run, prepared).undo(prepared, sourceContext(run, run.alive));
  }
}

/** Why the way back is no way any more; null when every part can be taken back. */
export async function whyNotUndoable(run: OnServer): Promise<string | null> {
  const { destinationFolders = [] } = run.context.plan;
  const destinations = await resolveFolders(run.guard.session, destinationFolders, run.alive);
  for (const { prepared } of run.journal.parts) {
    const reason = await sourceOf(run, prepared).undoable(
      prepared,
      sourceContext(run, run.alive),
      destinations,
    );
    if (reason !== null) return reason;
  }
  return null;
}

/** Removes the working folders. May be repeated. */
export async function forgetAll(run: OnServer, keepOld: boolean): Promise<void> {
  for (const { prepared } of run.journal.parts) await forget(run, prepared, keepOld);
}

/** As `forgetAll`; what can not be removed stays, is told in the log alone, and comes back. */
export async function tryToForgetAll(run: OnServer, keepOld: boolean): Promise<Journal['parts']> {
  const left: Journal['parts'] = [];
  for (const part of run.journal.parts) {
    const { prepared } = part;
    try {
      await forget(run, prepared, keepOld);
    } catch (error) {
      run.alive.throwIfAborted();
      run.context.log.warn({ err: error, folders: prepared.folders }, 'working folder not removed');
      left.push(part);
    }
  }
  return left;
}

function forget(run: OnServer, prepared: PreparedRestore, keepOld: boolean): Promise<void> {
  return sourceOf(run, prepared).forget(prepared, sourceContext(run, run.alive), { keepOld });
}
