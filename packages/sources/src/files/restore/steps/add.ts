import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../../types.ts';
import { nulPairs } from '../../nul-records.ts';
import { isAtOrBelow, parentOf } from '../../paths.ts';
import { exitOf } from '../../program-end.ts';
import { createTail, readLines } from '../../read-lines.ts';
import { countStaged } from '../count-staged.ts';
import { inTree, merge } from '../merge.ts';
import { serverFault } from '../server-words.ts';
import { ENTER_STAGE, stageWords } from '../stage.ts';
import {
  decode,
  joinPath,
  placeOf,
  type RootState,
  rootsOfMode,
  type StageState,
  stageOf,
} from './prepared-state.ts';
import { FUNCTIONS } from './swap-functions.ts';

/** Where the stage is for the scripts in it; what is staged is noted below that. */
const HELD = Buffer.from('/proc/self/fd/9/');
/** Added entries in one group of records, each with its identity; before them the folder and its time. */
const GROUP = 15;

/** Puts in place what is missing there, and notes what that was. May be repeated. */
export async function add(
  context: RestoreContext,
  state: StageState,
): Promise<{ files: number; bytes: number }> {
  const { session, signal, warn } = context;
  const stage = stageOf(state);
  const roots = rootsOfMode(state, 'add');
  if (roots.length === 0) return { files: 0, bytes: 0 };
  const begun = await session.run(['sh', '-c', BEGIN_SCRIPT, 'sh', ...stageWords(stage), FUNCTIONS], {
    signal,
  });
  if (begun.code !== 0)
    throw serverFault('Nothing was added', begun.stderr.toString().trim(), 'RESTORE_FAILED');
  await merge({
    ...{ session, stage, signal, warn, overwrite: false },
    roots: roots.map(({ root, at }) => ({
      ...{ anchor: decode(root.anchor), rest: decode(root.rest), path: inTree(decode(root.staged)) },
      notes: `notes/${at}`,
    })),
  });
  return countStaged(session, stage, signal, true);
}

const BEGIN_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
eval "$1"
[ ! -f "$stage/state/undone" ] || fault 'It was taken back already.' || exit 1
[ -f "$stage/state/adding" ] || note adding adding`;

/** Takes back what was added, as far as it is still there. */
export async function takeBack(context: RestoreContext, state: StageState): Promise<void> {
  const stage = stageOf(state);
  const roots = rootsOfMode(state, 'add');
  for (const { root, at } of roots.toReversed()) {
    const { groups, made } = await readNotes(context, state, root, at);
    const words = [...stageWords(stage), FUNCTIONS];
    const command = await context.session.exec(['sh', '-c', BACK_SCRIPT, 'sh', ...words, ...made], {
      signal: context.signal,
    });
    command.stdin.on('error', () => undefined);
    command.stdin.end(groups);
    command.stdout.resume();
    const tail = createTail();
    const exit = await exitOf(command, context.signal, readLines(command.stderr, tail.add));
    if (exit.code !== 0)
      throw serverFault('What was added could not be taken back', tail.text(), 'RESTORE_FAILED');
  }
}

/**
 * Arguments after the stage's: the shared functions, then folders that were made, each with the time
 * of the one around it before. On stdin groups: a folder, its
 * time, then identities and names. What has another identity by now is somebody else's.
 */
const BACK_SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
functions=$1
eval "$functions"
shift
mkdir -p -- "$stage/found" || exit 1
[ ! -f "$stage/state/adding" ] || note undone undone || exit 1
xargs -0 -r -x -n 32 -s 200000 sh -c "$functions"'
functions= folder=$1 time=$2
shift 2
there "$folder" || exit 0
enter "$folder" || exit 1
while [ $# -ge 2 ]; do
  if [ -n "$1" ] && there "./$2" && [ "$(stat -c %d:%i "./$2")" = "$1" ]; then
    ! mounted "\${PWD%/}/$2" || fault "\${PWD%/}/$2 has got a mount." || exit 1
    aside=$(mktemp -d "$stage/found/XXXXXX") && mv -f -t "$aside" -- "./$2" || exit 1
  fi
  shift 2
done
touch -m -d "$time" . 2>/dev/null
exit 0' sh || exit 1
while [ $# -ge 2 ]; do
  folder=\${1%/*}
  if there "$1" && enter "\${folder:-/}"; then
    rmdir -- "./\${1##*/}" 2>/dev/null && touch -m -d "$2" . 2>/dev/null
  fi
  shift 2
done
exit 0`;

/** The notes of a root as groups for the script, and the folders that were made, the lowest first. */
async function readNotes(
  { session, signal }: RestoreContext,
  state: StageState,
  root: RootState,
  at: number,
): Promise<{ groups: Buffer; made: (Buffer | string)[] }> {
  const script = `${ENTER_STAGE}[ ! -f "./notes/$1" ] || exec cat "./notes/$1"`;
  const words = [...stageWords(stageOf(state)), String(at)];
  const cat = await session.exec(['sh', '-c', script, 'sh', ...words], { signal });
  cat.stdin.end();
  const tail = createTail();
  const folders = new Map<string, { time: string; entries: string[] }>();
  const made: (Buffer | string)[] = [];
  let time = '';
  const take = (key: Buffer, value: Buffer): void => {
    const fact = key.toString('latin1');
    if (fact.startsWith('t')) time = fact.slice(1);
    else if (fact === 'm') made.unshift(Buffer.from(value), time);
    else {
      const place = placeOfStaged(root, Buffer.from(value));
      const folder = parentOf(place).toString('latin1');
      const known = folders.get(folder) ?? { time, entries: [] };
      known.entries.push(fact, place.subarray(place.lastIndexOf(0x2f) + 1).toString('latin1'));
      folders.set(folder, known);
    }
  };
  const read = async (): Promise<void> => {
    for await (const pairs of nulPairs(cat.stdout)) for (const [key, value] of pairs) take(key, value);
  };
  const exit = await exitOf(cat, signal, read(), readLines(cat.stderr, tail.add));
  if (exit.code !== 0)
    throw serverFault('The notes of what was added cannot be read', tail.text(), 'RESTORE_FAILED');
  const records: string[] = [];
  for (const [folder, { time, entries }] of folders) {
    for (let from = 0; from < entries.length; from += 2 * GROUP) {
      const some = entries.slice(from, from + 2 * GROUP);
      records.push(folder, time, ...some, ...Array<string>(2 * GROUP - some.length).fill(''));
    }
  }
  return { groups: Buffer.from(records.map((record) => `${record}\0`).join(''), 'latin1'), made };
}

function placeOfStaged(root: RootState, path: Buffer): Buffer {
  const staged = Buffer.concat([HELD, inTree(decode(root.staged))]);
  if (!isAtOrBelow(path, staged)) {
    throw new AppError('RESTORE_FAILED', 'The notes of what was added are damaged.');
  }
  const place = placeOf(root);
  return path.equals(staged) ? place : joinPath(place, path.subarray(staged.length + 1));
}
