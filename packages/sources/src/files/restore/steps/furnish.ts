import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { splitRecords } from '../../nul-records.ts';
import { serverFault } from '../server-words.ts';
import { ENTER_STAGE, type Stage, stageWords, TREE } from '../stage.ts';
import { decode, type RootState } from './prepared-state.ts';

/** Why an attempt must not begin anew: `$1` is the folder, `$2` the stage's name there. */
const BEGUN_SCRIPT = `cd -P -- "$1" && [ "$PWD" = "$1" ] || exit 0
[ -d "./$2" ] && [ ! -L "./$2" ] && [ "$(stat -c %u "./$2")" = "$(id -u)" ] || exit 0
for note in "./$2"/state/*; do [ ! -e "$note" ] || { echo begun; break; }; done
exit 0`;

/** RESTORE_FAILED when an earlier attempt has begun to put in place what lies in the stage of this name. */
export async function assertNotBegun(session: Session, stage: Stage, signal: AbortSignal): Promise<void> {
  const found = await session.run(['sh', '-c', BEGUN_SCRIPT, 'sh', stage.base, stage.name], { signal });
  if (found.code === 0 && found.stdout.length === 0) return;
  throw new AppError(
    'RESTORE_FAILED',
    `An earlier attempt has begun to put files in place: ${stage.base.toString()}/${stage.name} holds what was there before. It is to be finished or undone, not begun anew.`,
  );
}

/** The folders of a stage; `swap-script.ts` says what is in them. An archive's top may lack attributes of its own. */
const FOLDERS_SCRIPT = `${ENTER_STAGE}mkdir -- new old wanted keep moved state found skip notes && chmod 0755 ./${TREE}`;

/** Arguments: for each root its number, staged path and what becomes of it. Prints each one's identity. */
const SORT_SCRIPT = `${ENTER_STAGE}
while [ $# -ge 3 ]; do
  path=./${TREE}/$2 to=./new/$1
  [ "$2" != . ] || path=./${TREE}
  [ "$3" != skip ] || to=./found/$1
  if [ -e "$path" ] || [ -L "$path" ]; then
    stat --printf '%d:%i\\0' -- "$path" || exit 1
    case $3 in swap | skip) mv -f -T -- "$path" "$to" || exit 1 ;; esac
  else printf '\\0'
  fi
  shift 3
done
# What was unpacked is on the disk before anything makes way for it.
sync -f .`;

/** Makes the folders in a new stage. */
export async function furnish(session: Session, stage: Stage, signal: AbortSignal): Promise<void> {
  const made = await session.run(['sh', '-c', FOLDERS_SCRIPT, 'sh', ...stageWords(stage)], { signal });
  if (made.code !== 0)
    throw serverFault('The working folder could not be set up', made.stderr.toString().trim());
}

/** Puts each unpacked root where its mode wants it; gives their identities, empty for what the archive does not hold. */
export async function sortStaged(
  session: Session,
  stage: Stage,
  roots: readonly Pick<RootState, 'staged' | 'mode'>[],
  signal: AbortSignal,
): Promise<string[]> {
  const words = roots.flatMap(({ staged, mode }, at) => [String(at), decode(staged), mode]);
  const sorted = await session.run(['sh', '-c', SORT_SCRIPT, 'sh', ...stageWords(stage), ...words], {
    signal,
  });
  if (sorted.code !== 0) {
    throw serverFault('What was unpacked could not be made ready', sorted.stderr.toString().trim());
  }
  return splitRecords(sorted.stdout).map((record) => record.toString());
}

const WRITE_SCRIPT = `${ENTER_STAGE}cat >"./$1.new" && sync "./$1.new" && mv -f -T -- "./$1.new" "./$1"`;

/** Writes a file in the stage, wholly or not at all. */
export async function writeInStage(
  session: Session,
  stage: Stage,
  name: string,
  input: Buffer,
  signal: AbortSignal,
): Promise<void> {
  const written = await session.run(['sh', '-c', WRITE_SCRIPT, 'sh', ...stageWords(stage), name], {
    signal,
    input,
  });
  if (written.code !== 0)
    throw serverFault('A list could not be written on the server', written.stderr.toString().trim());
}
