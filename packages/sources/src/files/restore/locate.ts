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
 * For each path: device, stage's folder, anchor, rest; NUL between. The stage lies beside the target, or inside
 * where that is a mount of its own or where nothing can be made beside it.
 */
const SCRIPT = `for path do
  rest=\${path##*/} up=\${path%/*}
  while [ ! -d "\${up:-/}" ]; do
    if [ -e "$up" ] || [ -L "$up" ]; then printf 'blocked\\0\\0%s\\0\\0' "$up"; continue 2; fi
    rest=\${up##*/}/$rest up=\${up%/*}
  done
  cd -P -- "\${up:-/}" || exit 1
  anchor=$PWD base=$PWD
  device=$(stat -c %d .) || exit 1
  if [ -d "./$rest" ] && [ ! -L "./$rest" ]; then
    own=$(stat -c %d "./$rest") || exit 1
    if [ "$own" != "$device" ] || [ ! -w . ]; then device=$own base=\${anchor%/}/$rest; fi
  fi
  printf '%s\\0%s\\0%s\\0%s\\0' "$device" "$base" "$anchor" "$rest"
done`;

const REFUSED = /^\/(proc|sys|dev)(\/|$)/;

/** Finds each target on the server, by filesystem. PATH_REFUSED for those that no restore may touch. */
export async function locate(
  session: Session,
  roots: readonly WantedRoot[],
  signal: AbortSignal,
): Promise<Group[]> {
  if (roots.length === 0) return [];
  const targets = roots.map((root) => root.target);
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
    if (REFUSED.test(join(anchor, rest).toString('latin1'))) {
      throw new AppError(
        'PATH_REFUSED',
        `${root.target.toString()} belongs to the system itself (/proc, /sys, /dev): nothing is restored there.`,
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
