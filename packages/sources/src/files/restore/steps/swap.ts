import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../../types.ts';
import { exitOf } from '../../program-end.ts';
import { createTail, readLines } from '../../read-lines.ts';
import { stageWords } from '../stage.ts';
import { writeInStage } from './furnish.ts';
import { type PreparedState, rootsOfMode, rootWords, type StageState, stageOf } from './prepared-state.ts';
import { groupSurvivors, listSurvivors } from './survivors.ts';
import { FUNCTIONS } from './swap-functions.ts';
import { SWAP_SCRIPT } from './swap-script.ts';

/** Lists what is to survive, and leaves the list in the stage. Only before the first rename: later the old list counts. */
export async function findSurvivors(
  { session, signal }: RestoreContext,
  state: PreparedState,
  stageState: StageState,
): Promise<void> {
  const stage = stageOf(stageState);
  for (const { root, at } of rootsOfMode(stageState, 'swap')) {
    if (root.fresh === '') continue;
    const paths = await listSurvivors(session, stage, { root, at }, state.exclude, signal);
    if (paths) await writeInStage(session, stage, `keep/${at}`, groupSurvivors(paths), signal);
  }
}

/**
 * Takes the roots of a stage that are swapped one way or the other. `check` changes nothing. RESTORE_FAILED with what
 * the server said.
 */
export async function runSwap(
  { session, signal }: RestoreContext,
  state: PreparedState,
  stageState: StageState,
  what: 'check' | 'apply' | 'undo',
): Promise<void> {
  const roots = rootsOfMode(stageState, 'swap').filter(({ root }) => root.fresh !== '');
  if (roots.length === 0) return;
  const ordered = what === 'undo' ? roots.toReversed() : roots;
  const command = await session.exec(
    [
      ...['sh', '-c', SWAP_SCRIPT, 'sh', ...stageWords(stageOf(stageState)), FUNCTIONS],
      ...[carried(state.tarOptions), what, ...rootWords(ordered)],
    ],
    { signal },
  );
  command.stdin.end();
  command.stdout.resume();
  const tail = createTail();
  const exit = await exitOf(command, signal, readLines(command.stderr, tail.add));
  if (exit.code === 0) return;
  const said = tail.text().replaceAll('/proc/self/fd/9', 'stage');
  throw new AppError('RESTORE_FAILED', `${FAILED[exit.code === 2 ? 'check' : what]}: ${said}`);
}

const FAILED = {
  check: 'The files cannot be put in place, and nothing was changed',
  apply: 'The files could not be put in place',
  undo: 'What was there before could not be put back',
};

/** Those of tar's options that say what a folder's attributes are. */
export function carried(options: readonly string[]): string {
  return options.filter((option) => /^--(xattrs|acls|numeric-owner|same-owner)/.test(option)).join(' ');
}
