import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import { OWN } from '../../capture/find-expression.ts';
import { createExclusions } from '../../foreign/exclusions.ts';
import { globParts, globTest } from '../../foreign/glob.ts';
import { nulRecords } from '../../nul-records.ts';
import { isBelow, parentOf } from '../../paths.ts';
import { exitOf } from '../../program-end.ts';
import { createTail, readLines } from '../../read-lines.ts';
import { ENTER_STAGE, type Stage, stageWords } from '../stage.ts';
import { decode, type RootState } from './prepared-state.ts';
import { FUNCTIONS } from './swap-functions.ts';

/** How the script says that the root was begun with: what is in its place now is no longer what is replaced. */
const BEGUN = 9;
/** Beyond so many, the excludes are such that a restore had better not guess. */
const SURVIVORS_MAX = 200_000;
/** Names in one group; before them its folder, and the folder's times in both trees, which the server fills in. */
const GROUP_NAMES = 30;

/**
 * Arguments after the stage's: the shared functions, whether a root that was begun with is looked at, too (empty: no), its number, anchor and rest, then tests for find. It
 * prints what they find below the root, and what of the list `wanted/N` in the stage is there.
 */
const SCRIPT = `${ENTER_STAGE}exec 9<. || exit 1
eval "$1"
again=$2
shift
list=$stage/wanted/$2
[ -n "$again" ] || [ ! -e "$stage/state/$2" ] || exit ${BEGUN}
descend "$3" "$4"
case $? in 0) ;; 3) exit 0 ;; *) exit 1 ;; esac
place=\${PWD%/}/$name
[ -d "./$name" ] && [ ! -L "./$name" ] || exit 0
enter "$place" || exit 1
shift 4
find . -ignore_readdir_race -mindepth 1 "$@" -prune -printf '%P\\0'
[ ! -s "$list" ] || xargs -0 -r sh -c 'place=$PWD
for path do
  name=\${path##*/} folder=\${path%"$name"} folder=\${folder%/}
  if cd -P -- "./$folder" 2>/dev/null; then
    [ "$PWD" = "$place\${folder:+/$folder}" ] && { [ -e "./$name" ] || [ -L "./$name" ]; } && printf "%s\\0" "$path"
  fi
  cd -P -- "$place" && [ "$PWD" = "$place" ] || exit 1
done
exit 0' sh <"$list"`;

/**
 * What lies in a root's place now and stays when the root is replaced: paths below it, none below another. Null once
 * its replacement has begun, unless `again` says to look all the same.
 */
export async function listSurvivors(
  session: Session,
  stage: Stage,
  { root, at, again = false }: { root: RootState; at: number; again?: boolean },
  exclude: readonly string[],
  signal: AbortSignal,
): Promise<Buffer[] | null> {
  const words = [FUNCTIONS, again ? '1' : '', String(at), decode(root.anchor), decode(root.rest)];
  const command = await session.exec(
    ['sh', '-c', SCRIPT, 'sh', ...stageWords(stage), ...words, ...survivorTests(root, exclude)],
    { signal },
  );
  command.stdin.end();
  const found = new Map<string, Buffer>();
  const tail = createTail();
  let faults = 0;
  const read = async (): Promise<void> => {
    for await (const records of nulRecords(command.stdout)) {
      for (const record of records) found.set(record.toString('latin1'), Buffer.from(record));
      if (found.size > SURVIVORS_MAX) throw tooMany();
    }
  };
  const exit = await exitOf(
    command,
    signal,
    read(),
    readLines(command.stderr, (line) => {
      // What this user cannot look into was not backed up either: it is in the list.
      if (/: Permission denied$/.test(line)) return;
      faults += 1;
      tail.add(line);
    }),
  );
  if (exit.code === BEGUN) return null;
  if (faults > 0 || exit.signal !== null || (exit.code ?? 2) > 1) {
    throw new AppError('COMMAND_FAILED', `What is to be kept could not be listed: ${tail.text()}`);
  }
  return outermost([...found.values()]);
}

/** Their list as the scripts read it: groups of a folder and names in it, filled up with empty ones. */
export function groupSurvivors(paths: readonly Buffer[]): Buffer {
  const byFolder = new Map<string, string[]>();
  for (const path of paths) {
    const text = path.toString('latin1');
    const slash = text.lastIndexOf('/');
    const folder = slash < 0 ? '.' : text.slice(0, slash);
    const names = byFolder.get(folder) ?? [];
    names.push(text.slice(slash + 1));
    byFolder.set(folder, names);
  }
  const records: string[] = [];
  for (const [folder, names] of byFolder) {
    for (let from = 0; from < names.length; from += GROUP_NAMES) {
      const some = names.slice(from, from + GROUP_NAMES);
      records.push(folder, '', '', ...some, ...Array<string>(GROUP_NAMES - some.length).fill(''));
    }
  }
  return Buffer.from(records.map((record) => `${record}\0`).join(''), 'latin1');
}

/**
 * find's tests, run in the place, for what excludes leave out of a backup of the root. They were written for absolute
 * paths; of each glob what is left behind the root's own path is matched against the rest.
 */
export function survivorTests(root: RootState, exclude: readonly string[]): (string | Buffer)[] {
  const source = decode(root.source);
  const prefix = `${source.toString('latin1')}/`;
  const tests: (string | Buffer)[][] = [['-type', 'd', '-name', OWN]];
  for (const pattern of exclude) {
    const plain = pattern.replace(/\/+$/, '');
    if (plain === '') continue;
    const folder = plain === pattern ? [] : ['-type', 'd'];
    if (!plain.includes('/')) tests.push([...folder, '-name', plain]);
    else {
      const whole = plain.startsWith('/') ? plain : `*/${plain}`;
      for (const rest of residuals(whole, prefix)) tests.push([...folder, '-path', `./${rest}`]);
    }
  }
  const { kept, bridges, partly } = innerTests(root, source, exclude);
  tests.push(
    ...partly.map((folder) => ['-path', asBytes(`${folder}/*`), '!', '-path', asBytes(`${folder}/*/*`)]),
  );
  const not = [...kept, ...bridges].flatMap((path) => ['!', '-path', asBytes(path)]);
  const any = tests.flatMap((test, index) => (index === 0 ? test : ['-o', ...test]));
  return ['(', ...any, ')', ...not];
}

/** What of a glob may follow a text that its beginning matches. */
export function residuals(glob: string, text: string): string[] {
  const found = new Set<string>();
  const parts = globParts(glob);
  for (let at = 0; at <= parts.length; at += 1) {
    const rest = parts.slice(at).join('');
    if (!globTest(parts.slice(0, at).join(''))(text)) continue;
    // A star that has begun may go on.
    if (parts[at - 1] === '*') found.add(`*${rest}`);
    else if (rest !== '') found.add(rest);
  }
  return [...found];
}

/** Roots inside the root stay roots, whatever is excluded around them; folders on the way there are kept for them. */
function innerTests(root: RootState, source: Buffer, exclude: readonly string[]) {
  const excluded = createExclusions(exclude);
  const kept: string[] = [];
  const bridges = new Set<string>();
  const partly = new Set<string>();
  for (const inner of root.inner.map(decode)) {
    kept.push(`./${escaped(inner.toString('latin1'))}`);
    const names = inner.toString('latin1').split('/').slice(0, -1);
    let out = false;
    names.forEach((_name, index) => {
      const path = names.slice(0, index + 1).join('/');
      out ||= excluded(Buffer.concat([source, Buffer.from(`/${path}`, 'latin1')]), true);
      bridges.add(`./${escaped(path)}`);
      if (out) partly.add(`./${escaped(path)}`);
    });
  }
  return { kept, bridges: [...bridges], partly: [...partly] };
}

/** As one character per byte, so that it stands for itself in a glob. */
function escaped(path: string): string {
  return path.replace(/[\\*?[\]]/g, '\\$&');
}

function asBytes(text: string): Buffer {
  return Buffer.from(text, 'latin1');
}

function outermost(paths: Buffer[]): Buffer[] {
  const sorted = paths.sort((a, b) => a.length - b.length);
  const taken = new Set<string>();
  return sorted.filter((path) => {
    for (let up = path; up.includes(0x2f); ) {
      up = parentOf(up);
      if (taken.has(up.toString('latin1'))) return false;
    }
    taken.add(path.toString('latin1'));
    return true;
  });
}

/** The paths below a root, from there. */
export function below(root: Buffer, paths: readonly Buffer[]): Buffer[] {
  return paths.filter((path) => isBelow(path, root)).map((path) => path.subarray(root.length + 1));
}

function tooMany(): AppError {
  return new AppError(
    'RESTORE_FAILED',
    `More than ${SURVIVORS_MAX} files and folders are excluded one by one in what is to be restored. Exclude their folders instead, or restore to another folder.`,
  );
}
