import { AppError, type Logger } from '@tarfleet/kernel';
import type { RestoreOptions, RestoreSummary, SourceWarning } from '../../types.ts';
import { createWarningLimiter } from '../warnings.ts';
import { countStaged } from './count-staged.ts';
import { extract } from './extract.ts';
import { createJournal } from './journal.ts';
import { type Group, locate } from './locate.ts';
import { inTree, merge } from './merge.ts';
import { makeStage, plannedStage, removeStage, type Stage } from './stage.ts';
import { findTools } from './tools.ts';
import { wantedRoots } from './wanted-roots.ts';

/** For clearing up after a restore, whatever became of it. */
const CLEANUP_MS = 10 * 60_000;

const JOB_ID = /^[A-Za-z0-9_-][A-Za-z0-9._-]{0,150}$/;

/**
 * Puts a service's files back: everything is extracted beside the targets first, then renamed into place. Until
 * the whole archive has been read and found sound, no target is touched. Errors: the stream's own,
 * ARCHIVE_MALFORMED, PATH_REFUSED, TOOL_MISSING, INSUFFICIENT_STORAGE, COMMAND_FAILED, and the session's.
 */
export async function restoreFiles(
  deps: { logger: Logger },
  options: RestoreOptions,
): Promise<RestoreSummary> {
  const { session, signal, jobId } = options;
  if (!JOB_ID.test(jobId)) throw new TypeError('A restore needs a job id of [A-Za-z0-9._-].');
  const journal = createJournal(session, jobId, signal);
  const before = await journal.read();
  if (before) return before;
  const tarOptions = await findTools(session, signal);
  const roots = await wantedRoots(options);
  const groups = await locate(session, roots, signal);
  const limiter = createWarningLimiter(options.warn);
  const warn = onceFor('OWNER_NOT_RESTORED', limiter.warn);
  const stages: { group: Group; stage: Stage }[] = [];
  try {
    for (const group of groups) {
      const stage = plannedStage(group, jobId);
      stages.push({ group, stage });
      stage.identity = await makeStage(session, stage, signal);
      await extract({
        session,
        stage,
        roots: group.roots,
        extras: options.extras,
        tarOptions,
        openTar: options.openTar,
        signal,
        warn,
        onEntry: options.onEntry,
      });
    }
    const summary = await putInPlace(options, stages, warn);
    await journal.write(summary);
    return summary;
  } finally {
    limiter.close();
    await clearUp(deps.logger, options, stages);
  }
}

async function putInPlace(
  { session, signal, overwrite, assertOwned }: RestoreOptions,
  stages: { group: Group; stage: Stage }[],
  warn: (warning: SourceWarning) => void,
): Promise<RestoreSummary> {
  const summary: RestoreSummary = { filesRestored: 0, filesSkipped: 0, bytesRestored: 0 };
  const counts = new Map<Stage, { files: number; bytes: number }>();
  for (const { stage } of stages) counts.set(stage, await countStaged(session, stage, signal));
  await assertOwned();
  for (const { group, stage } of stages) {
    const roots = group.roots.map((root) => ({ ...root, path: inTree(root.staged), notes: null }));
    await merge({ session, stage, roots, overwrite, signal, warn });
    const found = counts.get(stage) ?? { files: 0, bytes: 0 };
    const left = await countStaged(session, stage, signal, true);
    if (overwrite && left.files > 0) {
      throw new AppError(
        'RESTORE_FAILED',
        `${left.files} files found no place: something else changes the folders that are restored.`,
      );
    }
    summary.filesRestored += found.files - left.files;
    summary.filesSkipped += left.files;
    summary.bytesRestored += found.bytes - left.bytes;
  }
  return summary;
}

async function clearUp(
  logger: Logger,
  { session, jobId }: RestoreOptions,
  stages: { stage: Stage }[],
): Promise<void> {
  for (const { stage } of stages) {
    try {
      await removeStage(session, stage, AbortSignal.timeout(CLEANUP_MS));
    } catch (error) {
      // The next attempt of the job removes it; the restore itself is not the worse for it.
      logger.warn({ err: error, jobId, folder: stage.base.toString() }, 'working folder not removed');
    }
  }
}

function onceFor(code: string, warn: (warning: SourceWarning) => void): (warning: SourceWarning) => void {
  let told = false;
  return (warning) => {
    if (warning.code === code && told) return;
    told ||= warning.code === code;
    warn(warning);
  };
}
