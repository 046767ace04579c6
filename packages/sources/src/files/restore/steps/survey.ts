import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { PrepareOptions } from '../../../types.ts';
import { UNSAVED } from '../../../unsaved.ts';
import { isAtOrBelow } from '../../paths.ts';
import { type Group, locate, type PlacedRoot } from '../locate.ts';
import { findTools } from '../tools.ts';
import { wantedRoots } from '../wanted-roots.ts';
import { assertRoom } from './free-space.ts';
import { look, type Place, type Surroundings } from './look.ts';
import { joinPath, type Mode } from './prepared-state.ts';
import { below } from './survivors.ts';

export type SurveyOptions = Omit<PrepareOptions, 'openTar' | 'onEntry'> & {
  openTar: PrepareOptions['openTar'] | null;
};

export interface Surveyed {
  group: Group;
  roots: { root: PlacedRoot; mode: Mode }[];
}

/** Where everything is to go and how it gets there. Nothing is changed. Errors: those of `check`. */
export async function survey(
  options: SurveyOptions,
): Promise<{ tarOptions: string[]; surveyed: Surveyed[] }> {
  const { session, signal } = options;
  const tarOptions = await findTools(session, signal);
  const groups = await locate(session, await wantedRoots(options), signal);
  const found: { group: Group; around: Surroundings }[] = [];
  for (const group of groups) found.push({ group, around: await look(session, group, signal) });
  assertDistinct(found.flatMap(({ around }) => around.places));
  const surveyed = found.map(({ group, around }) => ({
    group,
    roots: group.roots.map((root, index) => {
      const place = around.places[index];
      if (!place) throw new TypeError('A root without its place.');
      return { root, mode: modeOf(options, group, root, place) };
    }),
  }));
  let archived = 0;
  for (const { group, roots } of surveyed) {
    for (const { root, mode } of roots) {
      if (mode === 'in-place') archived += await sizeOf(options, root);
    }
    if (!(await mayWrite(session, group.base, signal))) throw noPermission(group.base);
  }
  const needs = { ...options.needs, bytes: options.needs.bytes + archived };
  assertRoom(
    found.map(({ group, around }) => ({ folder: group.base, around })),
    needs,
  );
  return { tarOptions, surveyed };
}

function modeOf(options: SurveyOptions, group: Group, root: PlacedRoot, place: Place): Mode {
  const { path } = place;
  const inside = options.destinations?.find((one) => isAtOrBelow(path, one.path));
  if (inside) {
    throw new AppError(
      'PATH_REFUSED',
      `${path.toString()} on the server lies in the folder of the destination ${inside.name} (${inside.path.toString()}): nothing is restored there. Restore to another folder.`,
    );
  }
  if (options.keep.some((kept) => kept.equals(path) || kept.equals(root.target))) {
    options.warn({
      code: 'PATH_KEPT',
      message: `${path.toString()} is left as it is: it is to be kept, or the backup could not read it.`,
      path,
    });
    return 'skip';
  }
  if (!options.overwrite) return 'add';
  if (options.unsaved && place.kind !== 'absent') {
    throw new AppError(
      'CONFLICT',
      `There is something at ${path.toString()} now, and nothing was changed. ${UNSAVED}`,
    );
  }
  const ownMount = place.mounts.some((mount) => mount.equals(path));
  if (place.kind === 'other' && ownMount) {
    throw new AppError(
      'PATH_REFUSED',
      `${path.toString()} is a mount of a single file: it cannot be replaced. Unmount it, or restore to another folder.`,
    );
  }
  const renamable =
    place.mounts.length === 0 &&
    place.sameMount &&
    !isAtOrBelow(group.base, path) &&
    !(place.kind === 'directory' && /^overlay/.test(place.filesystem));
  if (!renamable) return 'in-place';
  // Where parents are missing, the nearest folder that is there counts.
  if (!place.writable) throw noPermission(path);
  return 'swap';
}

/** Two roots in one place would replace each other. */
function assertDistinct(places: readonly Place[]): void {
  const seen = new Set<string>();
  for (const { path } of places) {
    const key = path.toString('latin1');
    if (seen.has(key)) {
      throw new AppError(
        'PATH_REFUSED',
        `Two of the paths lead to ${path.toString()} on the server. Restore one of them, or restore to another folder.`,
      );
    }
    seen.add(key);
  }
}

async function mayWrite(session: Session, folder: Buffer, signal: AbortSignal): Promise<boolean> {
  return (await session.run(['test', '-w', folder], { signal })).code === 0;
}

/** Arguments: anchor and rest. On stdin a pattern a line: paths from the anchor that do not count. */
const SIZE_SCRIPT =
  'cd -P -- "$1" && [ "$PWD" = "$1" ] && du -s -B1 --exclude-from=- -- "./$2" 2>/dev/null; exit 0';

/** What the archive of a root's old content takes at most, in bytes; what is to be kept there is not archived. */
async function sizeOf(
  { session, signal, keep, destinations = [] }: SurveyOptions,
  { anchor, rest, target }: PlacedRoot,
): Promise<number> {
  const staying = [...keep, ...destinations.map(({ path }) => path)];
  const names = [...below(joinPath(anchor, rest), staying), ...below(target, staying)];
  const patterns = names.map((name) => {
    const path = joinPath(rest, name).toString('latin1');
    // As a line it would be another name: then it counts.
    return /\n|\s$/.test(path) ? '' : `./${path.replace(/[\\*?[\]]/g, '\\$&')}\n`;
  });
  const found = await session.run(['sh', '-c', SIZE_SCRIPT, 'sh', anchor, rest], {
    ...{ signal, input: Buffer.from(patterns.join(''), 'latin1') },
  });
  return Number(/^\d+/.exec(found.stdout.toString())?.[0] ?? 0);
}

function noPermission(path: Buffer): AppError {
  return new AppError(
    'INSUFFICIENT_PERMISSIONS',
    `${path.toString()} on the server cannot be replaced: this user may not write there. Connect as root, or with sudo.`,
  );
}
