import { AppError } from '@tarfleet/kernel';
import type { RestoreContext } from '../../types.ts';
import { OWN, PSEUDO } from '../capture/find-expression.ts';
import type { PathSorter } from '../capture/path-sorter.ts';
import { findEnd } from '../find-end.ts';
import { nulRecords } from '../nul-records.ts';
import { show } from '../paths.ts';
import { withItsEnd } from '../program-end.ts';
import { moved, type PlacePair } from './places.ts';

/** Depth below the place, then what `Facts` reads; the path; where a symlink leads. */
const FORMAT = '%d %y %n %D %i %s %m %U %G %T@ %C@\\0%p\\0%l\\0';

/**
 * Lists what lies in the places now: to the sorter goes each path as it is called in the backup, with its facts, a
 * newline and where a symlink leads. Working folders and what the kernel makes up are listed, not entered.
 */
export async function listPlaces(
  { session, signal, warn }: RestoreContext,
  pairs: readonly PlacePair[],
  sorter: PathSorter,
): Promise<void> {
  // Without a path, find would take the current folder.
  if (pairs.length === 0) return;
  const process = await session.exec(findArguments(pairs), { signal });
  process.stdin.end();
  const end = findEnd(process, (path, fault) => {
    if (fault === 'No such file or directory') return;
    const message = `${show(path)} cannot be listed (${fault}): what a restore changes there is not known.`;
    warn({ code: 'FILE_UNREADABLE', message, path });
  });
  const transfer = async (): Promise<void> => {
    const byPlace = new Map(pairs.map((pair) => [pair.place.toString('latin1'), pair]));
    let pair: PlacePair | undefined;
    let before: Buffer[] = [];
    for await (const records of nulRecords(process.stdout)) {
      for (const record of records) {
        before.push(record);
        const [facts, path, link] = before;
        if (!facts || !path || !link) continue;
        before = [];
        const space = facts.indexOf(0x20);
        if (facts.toString('latin1', 0, space) === '0') pair = byPlace.get(path.toString('latin1'));
        if (!pair) throw new AppError('COMMAND_FAILED', 'find listed what it was not asked for.');
        const waiting = sorter.add(
          moved(path, pair.place, pair.source),
          `${facts.toString('latin1', space + 1)}\n${link.toString('latin1')}`,
        );
        if (waiting) await waiting;
      }
    }
    if (before.length > 0) throw new AppError('COMMAND_FAILED', 'find stopped in the middle of its list.');
  };
  await withItsEnd(end, transfer());
}

function findArguments(pairs: readonly PlacePair[]): (string | Buffer)[] {
  const pseudo = PSEUDO.flatMap((type, index) => [...(index === 0 ? [] : ['-o']), '-fstype', type]);
  const own = ['-name', OWN, '-o', ...pseudo];
  return [
    ...['find', '-P', ...pairs.map(({ place }) => place), '-ignore_readdir_race'],
    ...['-type', 'd', '(', ...own, ')', '-prune', '-printf', FORMAT],
    ...['-o', '-printf', FORMAT],
  ];
}
