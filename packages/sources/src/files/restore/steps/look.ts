import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { PSEUDO } from '../../capture/find-expression.ts';
import { splitRecords } from '../../nul-records.ts';
import { isAtOrBelow } from '../../paths.ts';
import type { Group, PlacedRoot } from '../locate.ts';
import { joinPath } from './prepared-state.ts';
import { FUNCTIONS } from './swap-functions.ts';

/** What is in a root's place now. */
export interface Place {
  path: Buffer;
  kind: 'absent' | 'directory' | 'other';
  /** Device and inode; empty when nothing is there. */
  identity: string;
  /** Whether its folder is of the same mount as the stage's: only then can it be renamed between them. */
  sameMount: boolean;
  /** Whether entries can be made and removed around it (and, for a folder, in it). */
  writable: boolean;
  /** The kind of filesystem, as stat(1) names it. */
  filesystem: string;
  /** Points below it, and its own, where something is mounted. */
  mounts: Buffer[];
  /** Those of them where the kernel shows what it makes up; no backup holds that. */
  pseudo: Buffer[];
}

export interface Surroundings {
  places: Place[];
  /** Of the stage's filesystem, for this user; null where it has no such number. */
  freeBytes: number | null;
  freeFiles: number | null;
}

/**
 * Arguments: the shared functions, the stage's folder, then anchor and rest of each root. It prints free bytes and
 * files, the mounts, and for each root kind, identity, whether it is on the stage's mount, whether it can be written
 * to, and its filesystem.
 */
const LOOK_SCRIPT = `eval "$1"
enter "$2" && exec 9<. && mount_of 9 && home=$mount || exit 1
df -B1 --output=avail,itotal,iavail . 2>/dev/null | tail -n 1
printf '\\0'
cat /proc/self/mountinfo
printf '\\0'
shift 2
while [ $# -ge 2 ]; do
  descend "$1" "$2"
  case $? in 0) ;; 3) name=$part/. ;; *) exit 1 ;; esac
  kind=a id= same=0 may=0
  exec 8<. && mount_of 8 && [ "$mount" = "$home" ] && same=1
  [ ! -w . ] || may=1
  if there "./$name"; then
    kind=o id=$(stat -c %d:%i "./$name")
    if [ -d "./$name" ] && [ ! -L "./$name" ]; then
      kind=d
      [ -w "./$name" ] && [ -x "./$name" ] || may=0
    fi
  fi
  type=$(stat -f -c %T .)
  printf '%s\\0%s\\0%s\\0%s\\0%s\\0' "$kind" "$id" "$same" "$may" "$type"
  shift 2
done
exit 0`;

/** Looks at the places of a group's roots and at the filesystem. COMMAND_FAILED when they are not what they were. */
export async function look(
  session: Session,
  group: Pick<Group, 'base'> & { roots: readonly Pick<PlacedRoot, 'anchor' | 'rest'>[] },
  signal: AbortSignal,
): Promise<Surroundings> {
  const words = group.roots.flatMap(({ anchor, rest }) => [anchor, rest]);
  const found = await session.run(['sh', '-c', LOOK_SCRIPT, 'sh', FUNCTIONS, group.base, ...words], {
    signal,
  });
  const [free, mountinfo, ...facts] = splitRecords(found.stdout);
  if (found.code !== 0 || !free || !mountinfo || facts.length !== group.roots.length * 5) {
    throw new AppError(
      'COMMAND_FAILED',
      `The places of the files could not be looked at on the server: ${found.stderr.toString().trim() || `exit ${found.code}`}`,
    );
  }
  const points = mountPoints(mountinfo);
  const places = group.roots.map((root, index): Place => {
    const [kind, identity = '', same, may, filesystem = ''] = facts
      .slice(index * 5, index * 5 + 5)
      .map((fact) => fact.toString());
    const path = joinPath(root.anchor, root.rest);
    return {
      ...{ path, identity, filesystem, sameMount: same === '1', writable: may === '1' },
      kind: kind === 'd' ? 'directory' : kind === 'o' ? 'other' : 'absent',
      mounts: points.flatMap((mount) => (isAtOrBelow(mount.point, path) ? [mount.point] : [])),
      pseudo: points.flatMap((mount) =>
        isAtOrBelow(mount.point, path) && PSEUDO.includes(mount.type) ? [mount.point] : [],
      ),
    };
  });
  const [bytes, inodes, freeInodes] = free.toString().trim().split(/\s+/).map(Number);
  return {
    places,
    freeBytes: bytes !== undefined && Number.isFinite(bytes) ? bytes : null,
    freeFiles: inodes && Number.isFinite(freeInodes) ? (freeInodes ?? null) : null,
  };
}

/** The fifth field of each line of `/proc/self/mountinfo` (proc(5)), its octal escapes resolved, and the type. */
function mountPoints(mountinfo: Buffer): { point: Buffer; type: string }[] {
  return mountinfo
    .toString('latin1')
    .split('\n')
    .flatMap((line) => {
      const point = line.split(' ')[4];
      if (point === undefined) return [];
      const plain = point.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
        String.fromCharCode(Number.parseInt(octal, 8)),
      );
      const type = line.slice(line.indexOf(' - ') + 3).split(' ')[0] ?? '';
      return [{ point: Buffer.from(plain, 'latin1'), type }];
    });
}
