import type { DestinationPlace, PrepareOptions, RestoreContext } from '../../../types.ts';
import { nulRecords } from '../../nul-records.ts';
import { isAtOrBelow } from '../../paths.ts';
import { exitOf } from '../../program-end.ts';
import { createTail, readLines } from '../../read-lines.ts';
import { serverFault } from '../server-words.ts';
import { ENTER_STAGE, type Stage, stageWords, TREE } from '../stage.ts';
import { writeInStage } from './furnish.ts';
import { decode, placeOf, type RootState, type StageState, stageOf } from './prepared-state.ts';
import { below } from './survivors.ts';

/**
 * Arguments after the stage's: a root's path among what is unpacked, its place, then paths below both. What is there in
 * the place is removed from what is unpacked, and printed. No symlink of the archive is followed.
 */
const LEAVE_OUT_SCRIPT = `${ENTER_STAGE}tree=$PWD/${TREE} place=\${2%/}
[ "$1" = . ] || tree=$tree/$1
shift 2
for path do
  [ -e "$place/$path" ] || [ -L "$place/$path" ] || continue
  printf '%s\\0' "$path"
  folder=$tree/$path folder=\${folder%/*}
  cd -P -- "$folder" 2>/dev/null && [ "$PWD" = "$folder" ] || continue
  rm -rf --one-file-system -- "./\${path##*/}" || exit 1
done
exit 0`;

/**
 * Where only what is missing is added: nothing is, in a destination that is there. Which ones are is noted in
 * `wanted/N`, as it is for roots that are replaced.
 */
export async function leaveOutDestinations(
  { session, signal, destinations = [] }: Pick<PrepareOptions, 'session' | 'signal' | 'destinations'>,
  stage: Stage,
  roots: readonly Omit<RootState, 'fresh'>[],
): Promise<void> {
  for (const [at, root] of roots.entries()) {
    if (root.mode !== 'add') continue;
    const place = placeOf({ ...root, fresh: '' });
    const inside = below(
      place,
      destinations.map(({ path }) => path),
    );
    if (inside.length === 0) continue;
    const words = [...stageWords(stage), decode(root.staged), place, ...inside];
    const found = await session.run(['sh', '-c', LEAVE_OUT_SCRIPT, 'sh', ...words], { signal });
    if (found.code !== 0) {
      throw serverFault('What is to stay could not be left out', found.stderr.toString().trim());
    }
    await writeInStage(session, stage, `wanted/${at}`, found.stdout, signal);
  }
}

/** Names in a group of `moved/N`, after its folder and two times. */
const GROUP_RECORDS = 33;

/** A destination that holds something in the place of a root, and would not come through if that were put back. */
export async function destinationComeSince(
  context: Pick<RestoreContext, 'session' | 'signal'>,
  state: StageState,
  destinations: readonly DestinationPlace[],
): Promise<DestinationPlace | null> {
  for (const [at, root] of state.roots.entries()) {
    if (root.mode === 'skip' || root.fresh === '') continue;
    for (const destination of destinations) {
      const [rest] = below(placeOf(root), [destination.path]);
      if (!rest || !(await holdsFiles(context, destination.path))) continue;
      const listed = (path: Buffer): boolean => isAtOrBelow(rest, path);
      if (!(await someListed(context, state, { root, at }, listed))) return destination;
    }
  }
  return null;
}

async function holdsFiles(
  { session, signal }: Pick<RestoreContext, 'session' | 'signal'>,
  path: Buffer,
): Promise<boolean> {
  const script = 'cd -P -- "$1" 2>/dev/null && find . -type f -print -quit; exit 0';
  return (await session.run(['sh', '-c', script, 'sh', path], { signal })).stdout.length > 0;
}

/** Whether one of the paths that a root's lists say will stay answers the question. */
async function someListed(
  { session, signal }: Pick<RestoreContext, 'session' | 'signal'>,
  state: StageState,
  { root, at }: { root: RootState; at: number },
  question: (path: Buffer) => boolean,
): Promise<boolean> {
  const grouped = root.mode === 'swap';
  const script = `${ENTER_STAGE}[ ! -f "./$1" ] || exec cat "./$1"`;
  const list = `${grouped ? 'moved' : 'wanted'}/${at}`;
  const cat = await session.exec(['sh', '-c', script, 'sh', ...stageWords(stageOf(state)), list], { signal });
  cat.stdin.end();
  let number = 0;
  let folder = '';
  let found = false;
  const see = (record: Buffer): void => {
    const place = number % GROUP_RECORDS;
    number += 1;
    if (!grouped) found ||= question(record);
    else if (place === 0) folder = record.toString('latin1');
    else if (place > 2 && record.length > 0) {
      const name = record.toString('latin1');
      found ||= question(Buffer.from(folder === '.' ? name : `${folder}/${name}`, 'latin1'));
    }
  };
  const read = async (): Promise<void> => {
    for await (const records of nulRecords(cat.stdout)) records.forEach(see);
  };
  const tail = createTail();
  const exit = await exitOf(cat, signal, read(), readLines(cat.stderr, tail.add));
  if (exit.code !== 0) throw serverFault('What stays could not be read', tail.text());
  return found;
}
