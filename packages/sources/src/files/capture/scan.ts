import type { ArchiveRoot } from '@tarfleet/archive';
import type { ServiceTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning, Totals } from '../../types.ts';
import { createLinkCounter } from '../hard-links.ts';
import { nulRecords } from '../nul-records.ts';
import { createTail, readLines } from '../read-lines.ts';
import { unquote } from '../unquote.ts';
import { pruneExpression } from './excludes.ts';
import type { Spill } from './spill.ts';

export interface ScanOptions {
  session: Session;
  service: ServiceTarget;
  roots: ArchiveRoot[];
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
}

/** Type, number of names, device, inode, size; then the path. */
const FORMAT = '%y %n %D %i %s\\0%p\\0';

/**
 * Lists what is to be read: the names go to the spill as tar wants them (relative to /, NUL after each), folders
 * before what is in them. A folder that cannot be read is a warning; what vanishes meanwhile is nothing.
 */
export async function scan(options: ScanOptions, spill: Spill): Promise<Totals> {
  const { session, service, roots, signal, warn } = options;
  const totals: Totals = { files: 0, directories: 0, other: 0, bytes: 0 };
  if (roots.length === 0) return totals;
  const find = await session.exec(
    [
      ...['find', '-P', ...roots.map((root) => root.path), '-ignore_readdir_race'],
      ...[...pruneExpression(service.exclude), '-o', '-printf', FORMAT],
    ],
    { signal },
  );
  find.stdin.end();
  const links = createLinkCounter();
  const tail = createTail();
  let strange = false;
  const [exit] = await Promise.all([
    find.done,
    readLines(find.stderr, (line) => {
      const warning = toWarning(line);
      if (warning) warn(warning);
      else {
        tail.add(line);
        strange = true;
      }
    }),
    takeRecords(find.stdout, (facts, path) => count(totals, links, facts, path, warn), spill),
  ]);
  if (exit.code === 0 || (exit.code === 1 && !strange)) return totals;
  throw new AppError(
    'COMMAND_FAILED',
    `find failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
  );
}

async function takeRecords(
  stdout: NodeJS.ReadableStream & AsyncIterable<Buffer>,
  take: (facts: string[], path: Buffer) => boolean,
  spill: Spill,
): Promise<void> {
  let facts: string[] | null = null;
  for await (const records of nulRecords(stdout as Parameters<typeof nulRecords>[0])) {
    const names: Buffer[] = [];
    for (const record of records) {
      if (facts === null) facts = record.toString('latin1').split(' ');
      else {
        if (take(facts, record)) names.push(tarName(record), NUL);
        facts = null;
      }
    }
    if (names.length > 0) await spill.add(names);
  }
  if (facts !== null) throw new AppError('COMMAND_FAILED', 'find stopped in the middle of its list.');
}

const NUL = Buffer.from([0]);

/** As tar is to name it: without the slash at its beginning, so that plain tar restores below any folder. */
function tarName(path: Buffer): Buffer {
  const name = path.subarray(path[0] === 0x2f ? 1 : 0);
  return name.length > 0 ? name : Buffer.from('.');
}

/** Whether the entry is to be read. */
function count(
  totals: Totals,
  links: ReturnType<typeof createLinkCounter>,
  facts: string[],
  path: Buffer,
  warn: ScanOptions['warn'],
): boolean {
  const [type, names, device, inode, size] = facts;
  switch (type) {
    case 'f':
      totals.files += 1;
      if (links.first(`${device}:${inode}`, Number(names))) totals.bytes += Number(size);
      return true;
    case 'd':
      totals.directories += 1;
      return true;
    case 's':
      warn({
        code: 'SOCKET_SKIPPED',
        message: `${path.toString()} is a socket; no archive can hold one.`,
        path,
      });
      return false;
    case 'l':
    case 'p':
    case 'c':
    case 'b':
      totals.other += 1;
      return true;
    default:
      warn({
        code: 'KIND_SKIPPED',
        message: `${path.toString()} is of a kind that no archive can hold.`,
        path,
      });
      return false;
  }
}

/** find's complaint about one path: `find: '/srv/x': Permission denied`. */
function toWarning(line: string): SourceWarning | null {
  const found = /^find: [‘'`]?(.*?)['’]?: ([A-Z][^:]*)$/.exec(line);
  if (!found?.[1] || !found[2]) return null;
  const path = unquote(found[1]);
  if (path[0] !== 0x2f) return null;
  return { code: 'FILE_UNREADABLE', message: `${path.toString()} cannot be read: ${found[2]}.`, path };
}
