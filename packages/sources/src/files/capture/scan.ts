import type { Readable } from 'node:stream';
import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { findEnd } from '../find-end.ts';
import { nulRecords } from '../nul-records.ts';
import { isAtOrBelow, parentOf, show } from '../paths.ts';
import { withItsEnd } from '../program-end.ts';
import { findArguments, lookArguments } from './find-expression.ts';
import type { PathSorter } from './path-sorter.ts';
import { nestedRoots } from './resolve-roots.ts';

export interface ScanOptions {
  session: Session;
  service: ServiceTarget;
  roots: ArchiveRoot[];
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
}

/**
 * Lists what is there: each path with its facts goes to the sorter. A folder that cannot be read is a warning; what
 * vanishes meanwhile is nothing. Gives the server's time right before, in seconds.
 */
export async function scan(options: ScanOptions, sorter: PathSorter): Promise<number> {
  const { service, roots, warn } = options;
  const owner = createOwner(roots);
  const take = (depth: string, facts: string, path: Buffer): void | Promise<void> => {
    if (!owner.owns(path, depth) || !isKept(facts, path, warn)) return;
    return sorter.add(path, facts);
  };
  // Without a path, find would take the current folder.
  const clock = roots.length === 0 ? 0 : await find(options, findArguments(roots, service.exclude), take);
  const bridges = owner.missing();
  if (bridges.length > 0) await find(options, lookArguments(bridges), take);
  return clock;
}

/** Prints the server's time before it does what it was asked for. */
const WITH_CLOCK = `printf '%s\\0' "$(date +%s)" && exec "$@"`;

async function find(
  { session, signal, warn }: ScanOptions,
  command: (string | Buffer)[],
  take: (depth: string, facts: string, path: Buffer) => void | Promise<void>,
): Promise<number> {
  const process = await session.exec(['sh', '-c', WITH_CLOCK, 'sh', ...command], { signal });
  process.stdin.end();
  const end = findEnd(process, (path, fault) =>
    warn({
      code: 'FILE_UNREADABLE',
      message: `${show(path)} cannot be listed (${fault}); the backup does not hold what is in it.`,
      path,
    }),
  );
  const clock = await withItsEnd(end, takeRecords(process.stdout, take));
  if (clock === null) throw new AppError('COMMAND_FAILED', 'The server did not tell its time.');
  return clock;
}

/**
 * Roots may lie inside each other, and inside what excludes prune from the outer one. Then each path is taken
 * from the walk of its closest root alone, and the folders on the way to an inner root are kept in any case.
 */
export function createOwner(roots: ArchiveRoot[]) {
  const nested = nestedRoots(roots);
  const bridges = new Map<string, Buffer>();
  for (const { inner, outer } of nested) {
    for (let path = parentOf(inner); !path.equals(outer); path = parentOf(path)) {
      bridges.set(path.toString('latin1'), path);
    }
  }
  let others: Buffer[] = [];
  return {
    owns(path: Buffer, depth: string | undefined): boolean {
      if (nested.length === 0) return true;
      if (depth === '0') others = nested.filter(({ outer }) => outer.equals(path)).map(({ inner }) => inner);
      if (others.some((inner) => isAtOrBelow(path, inner))) return false;
      bridges.delete(path.toString('latin1'));
      return true;
    },
    missing: (): Buffer[] => [...bridges.values()],
  };
}

/** Gives the time that comes first; null when there is none. */
async function takeRecords(
  stdout: Readable,
  take: (depth: string, facts: string, path: Buffer) => void | Promise<void>,
): Promise<number | null> {
  let clock: number | null = null;
  let before: string | null = null;
  for await (const records of nulRecords(stdout)) {
    for (const record of records) {
      if (clock === null) {
        clock = Number(record.toString('latin1'));
        if (!Number.isInteger(clock) || clock <= 0) return null;
      } else if (before === null) before = record.toString('latin1');
      else {
        const space = before.indexOf(' ');
        const waiting = take(before.slice(0, space), before.slice(space + 1), record);
        if (waiting) await waiting;
        before = null;
      }
    }
  }
  if (before !== null) throw new AppError('COMMAND_FAILED', 'find stopped in the middle of its list.');
  return clock;
}

/** Whether an archive can hold it. */
export function isKept(facts: string, path: Buffer, warn: ScanOptions['warn']): boolean {
  // The root of all: a name of its own it has not, and its attributes are not anybody's data.
  if (path.length === 1) return false;
  const type = facts[0] ?? '';
  if (type !== '' && 'fdlpcb'.includes(type)) return true;
  const socket = type === 's';
  warn({
    code: socket ? 'SOCKET_SKIPPED' : 'KIND_SKIPPED',
    message: `${show(path)} is ${socket ? 'a socket' : 'of a kind that no archive can hold'}; the backup does not hold it.`,
    path,
  });
  return false;
}
