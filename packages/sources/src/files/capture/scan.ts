import type { Readable } from 'node:stream';
import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning, Totals } from '../../types.ts';
import { createLinkCounter } from '../hard-links.ts';
import { nulRecords } from '../nul-records.ts';
import { isAtOrBelow, memberName, parentOf, show } from '../paths.ts';
import { createTail, readLines } from '../read-lines.ts';
import { unquote } from '../unquote.ts';
import { findArguments } from './find-expression.ts';
import { nestedRoots } from './resolve-roots.ts';
import type { Spill } from './spill.ts';

export interface ScanOptions {
  session: Session;
  service: ServiceTarget;
  roots: ArchiveRoot[];
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
}

/**
 * Lists what is to be read: the names go to the spill as tar wants them, folders before what is in them. A folder
 * that cannot be read is a warning; what vanishes meanwhile is nothing.
 */
export async function scan(options: ScanOptions, spill: Spill): Promise<Totals> {
  const { session, service, roots, signal, warn } = options;
  const totals: Totals = { files: 0, directories: 0, other: 0, bytes: 0 };
  // Without a path, find would take the current folder.
  if (roots.length === 0) return totals;
  const find = await session.exec(findArguments(roots, service.exclude), { signal });
  find.stdin.end();
  const owner = createOwner(roots);
  const links = createLinkCounter();
  const tail = createTail();
  let strange = false;
  const [exit] = await Promise.all([
    find.done,
    readLines(find.stderr, (line) => {
      const warning = toWarning(line);
      if (warning) return warn(warning);
      tail.add(line);
      strange = true;
    }),
    takeRecords(
      find.stdout,
      spill,
      (facts, path) => owner.owns(path, facts[0]) && count(totals, links, facts, path, warn),
    ),
  ]);
  if (exit.code !== 0 && (exit.code !== 1 || strange)) {
    throw new AppError(
      'COMMAND_FAILED',
      `find failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
    );
  }
  const bridges = owner.missing();
  totals.directories += bridges.length;
  await spill.add(bridges.map(memberName));
  return totals;
}

/**
 * Roots may lie inside each other, and inside what excludes prune from the outer one. Then each path is taken
 * from the walk of its closest root alone, and the folders on the way to an inner root are kept in any case.
 */
function createOwner(roots: ArchiveRoot[]) {
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

async function takeRecords(
  stdout: Readable,
  spill: Spill,
  take: (facts: string[], path: Buffer) => boolean,
): Promise<void> {
  let facts: string[] | null = null;
  for await (const records of nulRecords(stdout)) {
    const names: Buffer[] = [];
    for (const record of records) {
      if (facts === null) facts = record.toString('latin1').split(' ');
      else {
        if (take(facts, record)) names.push(memberName(record));
        facts = null;
      }
    }
    await spill.add(names);
  }
  if (facts !== null) throw new AppError('COMMAND_FAILED', 'find stopped in the middle of its list.');
}

/** Whether the entry is to be read. */
function count(
  totals: Totals,
  links: ReturnType<typeof createLinkCounter>,
  facts: string[],
  path: Buffer,
  warn: ScanOptions['warn'],
): boolean {
  const [, type, names, device, inode, size] = facts;
  // The root of all: a name of its own it has not, and its attributes are not anybody's data.
  if (path.length === 1) return false;
  if (type === 'f') {
    totals.files += 1;
    if (links.first(`${device}:${inode}`, Number(names))) totals.bytes += Number(size);
    return true;
  }
  if (type === 'd') {
    totals.directories += 1;
    return true;
  }
  if (type !== undefined && 'lpcb'.includes(type)) {
    totals.other += 1;
    return true;
  }
  const socket = type === 's';
  warn({
    code: socket ? 'SOCKET_SKIPPED' : 'KIND_SKIPPED',
    message: `${show(path)} is ${socket ? 'a socket' : 'of a kind that no archive can hold'}; the backup does not hold it.`,
    path,
  });
  return false;
}

/** find's complaint about one path, in the C locale: `find: '/srv/x\ny': Permission denied`. */
function toWarning(line: string): SourceWarning | null {
  const found = /^find: '(\/.*)': ([^:]+)$/.exec(line);
  if (!found?.[1] || !found[2]) return null;
  const path = unquote(found[1]);
  return {
    code: 'FILE_UNREADABLE',
    message: `${show(path)} cannot be listed (${found[2]}); the backup does not hold what is in it.`,
    path,
  };
}
