import { randomBytes } from 'node:crypto';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { Group } from './locate.ts';
import { serverFault } from './server-words.ts';

/** A folder of ours alone on the server, in which files wait until all of them are there. */
export interface Stage {
  base: Buffer;
  name: string;
  /** Device and inode, so that another folder under its name is not taken for it; empty until it is made. */
  identity: string;
  /** Names a folder inside: inodes are used again, so a later attempt's stage may have this one's. */
  token: string;
}

/** Where tar puts what it extracts, and where what is in the way is moved, both inside the stage. */
export const TREE = 'tree';
export const ASIDE = 'aside';

/**
 * Removes `./$2`, a stage of ours, from the folder `$1`, and leaves that folder's own time as it was. `$3` is the
 * stage's identity, `$4` its token; whichever is there goes when `$3` is empty. What had been moved aside and not been replaced goes back.
 */
const REMOVE = `
put_back() {
  for note in ./${ASIDE}/*.path; do
    old=\${note##*/} old=\${old%.path}
    [ -e "./${ASIDE}/$old" ] || [ -L "./${ASIDE}/$old" ] || continue
    path=$(cat -- "$note"; echo .) path=\${path%.}
    folder=\${path%/*}
    (
      exec 9<. && cd -P -- "\${folder:-/}" && [ "$PWD" = "\${folder:-/}" ] || exit 1
      path=./\${path##*/}
      [ -e "$path" ] || [ -L "$path" ] || mv -n -T -- "/proc/self/fd/9/${ASIDE}/$old" "$path"
    ) || return
  done
}
remove_stage() {
  [ -e "./$2" ] || [ -L "./$2" ] || return 0
  if [ -L "./$2" ] || [ ! -d "./$2" ] || [ "$(stat -c %u "./$2")" != "$(id -u)" ]; then
    printf '%s/%s is not a folder that Tarfleet made.\\n' "$1" "$2" >&2
    return 1
  fi
  [ -z "$3" ] || { [ "$(stat -c %d:%i "./$2")" = "$3" ] && [ -d "./$2/$4" ]; } || return 0
  # Notes are believed only where nobody else could have written them.
  (
    cd -P -- "./$2" || exit 1
    [ "$(stat -c %u:%a .)" != "$(id -u):700" ] || put_back
  ) || return
  [ "$(id -u)" = 0 ] || find "./$2" -type d ! -perm -700 -exec chmod u+rwx {} ';'
  rm -rf --one-file-system -- "./$2"
}
cd -P -- "$1" && [ "$PWD" = "$1" ] || { printf '%s has moved.\\n' "$1" >&2; exit 1; }
modified=$(stat -c %y .)
`;

const KEEP_TIME = 'touch -m -d "$modified" . 2>/dev/null\n';

/** Default ACLs of the folder around it must reach neither the stage nor what is extracted there. */
const MAKE_SCRIPT = `umask 077
${REMOVE}
remove_stage "$@" && mkdir -m 700 -- "./$2" || exit 1
! command -v setfacl >/dev/null || setfacl -b -k -- "./$2" 2>/dev/null
chmod 0700 "./$2" && chmod g-s "./$2" && mkdir -- "./$2/${TREE}" "./$2/${ASIDE}" "./$2/$4" || exit 1
${KEEP_TIME}
stat -c %d:%i "./$2"`;

const REMOVE_SCRIPT = `${REMOVE}
remove_stage "$@" || exit 1
${KEEP_TIME}
exit 0`;

export function plannedStage(group: Group, jobId: string): Stage {
  return {
    base: group.base,
    name: `.tarfleet-restore-${jobId}`,
    identity: '',
    token: randomBytes(8).toString('hex'),
  };
}

/**
 * Makes the stage anew and gives its identity; what an earlier attempt of the same job left under its name is
 * removed first.
 */
export async function makeStage(session: Session, stage: Stage, signal: AbortSignal): Promise<string> {
  const made = await session.run(['sh', '-c', MAKE_SCRIPT, 'sh', ...stageWords({ ...stage, identity: '' })], {
    signal,
  });
  const identity = made.stdout.toString().trim();
  if (made.code === 0 && /^\d+:\d+$/.test(identity)) return identity;
  throw serverFault(
    `No working folder could be made in ${stage.base.toString()}`,
    made.stderr.toString().trim() || `exit ${made.code}`,
  );
}

export async function removeStage(session: Session, stage: Stage, signal: AbortSignal): Promise<void> {
  const { base, name } = stage;
  const removed = await session.run(['sh', '-c', REMOVE_SCRIPT, 'sh', ...stageWords(stage)], { signal });
  if (removed.code === 0) return;
  throw new AppError(
    'COMMAND_FAILED',
    `The working folder ${base.toString()}/${name} could not be removed: ${removed.stderr.toString().trim()}`,
  );
}

/** The beginning of every script that works in the stage: `$1` to `$4` say which it is; they are shifted away. */
export const ENTER_STAGE = `cd -P -- "$1" && cd -P -- "./$2" && [ "$(stat -c %d:%i .)" = "$3" ] && [ -d "./$4" ] || {
  printf 'The working folder %s/%s is gone.\\n' "$1" "$2" >&2; exit 1
}
shift 4
`;

export function stageWords(stage: Stage): [Buffer, string, string, string] {
  return [stage.base, stage.name, stage.identity, stage.token];
}
