import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { splitRecords } from '../nul-records.ts';
import type { WantedRoot } from './wanted-roots.ts';

/** A root with its place on the server. */
export interface PlacedRoot extends WantedRoot {
  /** The nearest folder above the target that exists, with every symlink resolved. */
  anchor: Buffer;
  /** From there to the target; all but its last part must be made when there is a slash in it. */
  rest: Buffer;
}

/** The roots on one filesystem, and the folder there in which their stage is made. */
export interface Group {
  base: Buffer;
  roots: PlacedRoot[];
}

/**
 * For each pair of words, `d` for a folder and its path: device, stage's folder, anchor, rest; NUL between. The
 * stage lies beside the target, or inside where that is a mount of its own or where nothing can be made beside it.
 *
 * It walks down from `/` one name at a time. A symlink on the way, or in the place of a folder, is followed only
 * where none but root and we could have put it there, or where it leads to what belongs to whoever could: else
 * somebody who may write beside the target could have us write anywhere.
 */
const SCRIPT = `me=$(id -u)
into() {
  from=\${PWD%/} who=
  if [ -L "./$1" ]; then
    facts=$(stat -c '%A %u' .) || return 1
    case $facts in
      *[tT]' '*) who=$(stat -c %u "./$1") || return 1 ;;
      ?????w* | ????????w*) return 1 ;;
      *) who=\${facts#* } ;;
    esac
  fi
  cd -P -- "./$1" || return 1
  if [ -z "$who" ]; then [ "$PWD" = "$from/$1" ]
  else [ "$who" = 0 ] || [ "$who" = "$me" ] || [ "$who" = "$(stat -c %u .)" ]
  fi
}
while [ $# -ge 2 ]; do
  kind=$1 left=\${2#/}
  shift 2
  cd /
  while :; do
    name=\${left%%/*}
    [ -d "./$name" ] || break
    if [ "$name" = "$left" ] && { [ "$kind" != d ] || [ ! -L "./$name" ]; }; then break; fi
    into "$name" || { printf 'untrusted\\0\\0%s\\0\\0' "$from/$name"; continue 2; }
    if [ "$name" = "$left" ]; then left=\${PWD##*/}; cd ..; break; fi
    left=\${left#*/}
  done
  if [ "$name" != "$left" ] && { [ -e "./$name" ] || [ -L "./$name" ]; } && [ ! -d "./$name" ]; then
    printf 'blocked\\0\\0%s\\0\\0' "\${PWD%/}/$name"
    continue
  fi
  anchor=$PWD base=$PWD device=$(stat -c %d .) || exit 1
  if [ -d "./$left" ] && [ ! -L "./$left" ]; then
    own=$(stat -c %d "./$left") || exit 1
    if [ "$own" != "$device" ] || [ ! -w . ]; then device=$own base=\${anchor%/}/$left; fi
  fi
  printf '%s\\0%s\\0%s\\0%s\\0' "$device" "$base" "$anchor" "$left"
done`;

const REFUSED = /^\/(proc|sys|dev)(\/|$)/;

/** Finds each target on the server, by filesystem. PATH_REFUSED for those that no restore may touch. */
export async function locate(
  session: Session,
  roots: readonly WantedRoot[],
  signal: AbortSignal,
): Promise<Group[]> {
  if (roots.length === 0) return [];
  const targets = roots.flatMap((root) => [root.folder ? 'd' : 'o', root.target]);
  const found = await session.run(['sh', '-c', SCRIPT, 'sh', ...targets], { signal });
  if (found.code !== 0) {
    throw new AppError(
      'COMMAND_FAILED',
      `The paths could not be looked up on the server: ${found.stderr.toString().trim()}`,
    );
  }
  const records = splitRecords(found.stdout);
  const groups = new Map<string, Group>();
  roots.forEach((root, index) => {
    const [device, base, anchor, rest] = records.slice(index * 4, index * 4 + 4);
    if (!device || !base || !anchor || !rest) {
      throw new AppError('COMMAND_FAILED', 'The server did not tell where every path lies.');
    }
    if (device.toString() === 'blocked') {
      throw new AppError(
        'PATH_REFUSED',
        `${anchor.toString()} on the server is not a folder, so ${root.target.toString()} cannot be put below it. Move it away, or restore to another folder.`,
      );
    }
    if (device.toString() === 'untrusted') {
      throw new AppError(
        'PATH_REFUSED',
        `${anchor.toString()} on the server is a symlink that ordinary users can change, and does not lead to a folder of theirs: it is not followed to ${root.target.toString()}. Let only root change it, or restore to another folder.`,
      );
    }
    if (rest.length === 0 || REFUSED.test(join(anchor, rest).toString('latin1'))) {
      throw new AppError(
        'PATH_REFUSED',
        `${root.target.toString()} is part of the system itself (/, /proc, /sys, /dev): nothing is restored there.`,
      );
    }
    const group = groups.get(device.toString()) ?? { base, roots: [] };
    group.roots.push({ ...root, anchor, rest });
    groups.set(device.toString(), group);
  });
  return [...groups.values()];
}

function join(folder: Buffer, rest: Buffer): Buffer {
  return Buffer.concat([folder, Buffer.from(folder.equals(Buffer.from('/')) ? '' : '/'), rest]);
}
