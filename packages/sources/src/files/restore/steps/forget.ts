import { AppError } from '@tarfleet/kernel';
import type { DestinationPlace, PreparedRestore, RestoreContext } from '../../../types.ts';
import { ENTER_STAGE, removeStage, stageWords } from '../stage.ts';
import { destinationComeSince } from './destinations.ts';
import { decode, readState, rootsOfMode, rootWords, type StageState, stageOf } from './prepared-state.ts';
import { FUNCTIONS } from './swap-functions.ts';

/** Removes what no undo needs, after a look for mounts. What is to be kept where a root is restored in place still counts. */
const KEEP_OLD_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
home=$PWD
eval "$1"
! mounted "$home" || fault "Something is mounted in $home: it was left as it is." || exit 1
rm -rf --one-file-system -- ./tree ./new ./found && find ./aside -xdev -mindepth 1 -delete`;

/**
 * Prints whether the stage is there, which must hold no mount: `$1` to `$4` name it, `$5` are the shared functions.
 */
const MOUNTS_SCRIPT = `cd -P -- "$1" 2>/dev/null && [ "$PWD" = "$1" ] && cd -P -- "./$2" 2>/dev/null || exit 0
[ "$(stat -c %d:%i .)" = "$3" ] && [ -d "./$4" ] || exit 0
eval "$5"
! mounted "$PWD" || fault "Something is mounted in $PWD: it was left as it is." || exit 1
echo there`;

/** Removes the working folders; see `RestoreSteps`. */
export async function forget(
  prepared: PreparedRestore,
  { session, signal }: RestoreContext,
  { keepOld }: { keepOld: boolean },
): Promise<void> {
  const { stages, claimed = [] } = readState(prepared);
  for (const { base, ...stage } of claimed)
    await removeStage(session, { ...stage, base: decode(base), identity: '' }, signal);
  for (const state of stages) {
    const stage = stageOf(state);
    const words = stageWords(stage);
    const there = await session.run(['sh', '-c', MOUNTS_SCRIPT, 'sh', ...words, FUNCTIONS], { signal });
    if (there.code !== 0) throw new AppError('RESTORE_FAILED', there.stderr.toString().trim());
    if (there.stdout.length === 0) continue;
    if (!keepOld) await removeStage(session, stage, signal);
    else await keepOnlyOld(state, { session, signal });
  }
}

async function keepOnlyOld(
  state: StageState,
  { session, signal }: Pick<RestoreContext, 'session' | 'signal'>,
): Promise<void> {
  const words = stageWords(stageOf(state));
  const removed = await session.run(['sh', '-c', KEEP_OLD_SCRIPT, 'sh', ...words, FUNCTIONS], { signal });
  if (removed.code === 0) return;
  throw new AppError(
    'COMMAND_FAILED',
    `The working folder could not be cleared: ${removed.stderr.toString().trim()}`,
  );
}

/**
 * Arguments after the stage's: the shared functions, the numbers of roots restored in place, `/`, then for each swapped root
 * number, anchor, rest and identity.
 */
const UNDOABLE_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
home=$PWD
eval "$1"
shift
! [ -f "$stage/state/undone" ] || fault "it was taken back already." || exit 1
while [ "$1" != / ]; do
  if [ -f "$stage/state/$1" ]; then
    read -r state kind <"$stage/state/$1"
    [ "$state" != undone ] || fault "it was put back already." || exit 1
    [ "$kind" = absent ] || [ -f "$stage/old/$1.tar" ] || fault "the archive $home/old/$1.tar is gone." || exit 1
  fi
  shift
done
shift
while [ $# -ge 4 ]; do
  path=\${2%/}/$3
  if [ -f "$stage/state/$1" ]; then
    read -r state _ <"$stage/state/$1"
    if [ "$state" = undone ]; then fault "$path was put back already." || exit 1; fi
    [ "$state" != present ] || there "$stage/old/$1" || fault "what was in $path before is gone." || exit 1
    ! mounted "$path" || fault "something is mounted in $path." || exit 1
    if ! there "$stage/new/$1"; then
      descend "$2" "$3" 2>/dev/null && [ "$(stat -c %d:%i "./$name" 2>/dev/null)" = "$4" ] ||
        fault "something else is in $path now." || exit 1
    fi
  fi
  shift 4
done`;

/** Why the way back cannot be gone, or null; see `RestoreSteps`. */
export async function undoable(
  prepared: PreparedRestore,
  context: RestoreContext,
  destinations: readonly DestinationPlace[] = [],
): Promise<string | null> {
  const { session, signal } = context;
  for (const state of readState(prepared).stages) {
    const roots = rootsOfMode(state, 'swap').filter(({ root }) => root.fresh !== '');
    const inPlace = rootsOfMode(state, 'in-place').map(({ at }) => String(at));
    const words = [...stageWords(stageOf(state)), FUNCTIONS, ...inPlace, '/', ...rootWords(roots)];
    const found = await session.run(['sh', '-c', UNDOABLE_SCRIPT, 'sh', ...words], { signal });
    if (found.code !== 0) return `The restore cannot be undone: ${found.stderr.toString().trim()}`;
    const come = await destinationComeSince(context, state, destinations);
    if (come) {
      return `The restore cannot be undone: the destination ${come.name} keeps its backups in ${come.path.toString()}, which would make way. Move that folder out of there first, and back afterwards.`;
    }
  }
  return null;
}
