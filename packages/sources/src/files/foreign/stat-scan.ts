import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess } from '@tarfleet/transport';
import { factsText } from '../capture/facts.ts';
import { bareFindArguments } from '../capture/find-expression.ts';
import type { PathSorter } from '../capture/path-sorter.ts';
import { feed } from '../capture/read-tar.ts';
import { createOwner, isKept, type ScanOptions } from '../capture/scan.ts';
import { createSpill, type Spill } from '../capture/spill.ts';
import { nulRecords } from '../nul-records.ts';
import { show } from '../paths.ts';
import { wasKilled, withItsEnd } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { pseudoMounts } from './exclusions.ts';
import { createStatParser, newMark, type StatRecord, statFormat } from './stat-records.ts';

/**
 * As `scan`, with busybox's find and stat: its find prints names alone, its stat ends a name with a newline, which
 * names may hold. So names are listed first, and a mark that none of them can hold separates what stat says then.
 */
export async function scanWithStat(
  tmpDir: string,
  options: ScanOptions,
  sorter: PathSorter,
): Promise<number> {
  const { session, service, roots, signal, warn } = options;
  const script = 'date +%s && { cat /proc/self/mounts 2>/dev/null; exit 0; }';
  const asked = await session.run(['sh', '-c', script], { signal });
  const [first = '', ...mounts] = asked.stdout.toString('latin1').split('\n');
  const clock = Number(first);
  if (!Number.isInteger(clock) || clock <= 0) {
    throw new AppError('COMMAND_FAILED', 'The server did not tell its time.');
  }
  const made = pseudoMounts(mounts.join('\n'));
  const owner = createOwner(roots);
  const take = async ({ path, facts }: StatRecord, root: Buffer | null): Promise<void> => {
    if (!owner.owns(path, root?.equals(path) ? '0' : undefined)) return;
    const text = factsText(facts);
    if (isKept(text, path, warn)) await sorter.add(path, text);
  };
  for (const { path: root } of roots) {
    const names = createSpill(tmpDir);
    try {
      await list(options, bareFindArguments(root, roots, service.exclude, made), names);
      if (names.records() > 0) await stat(options, names, (record) => take(record, root));
    } finally {
      await names.close();
    }
  }
  const bridges = owner.missing();
  if (bridges.length > 0) {
    const names = createSpill(tmpDir);
    await names.add(bridges);
    await stat(options, names, (record) => take(record, null)).finally(() => names.close());
  }
  return clock;
}

const GONE = /: No such file or directory$/;

async function list(
  { session, signal, warn }: ScanOptions,
  command: (string | Buffer)[],
  names: Spill,
): Promise<void> {
  const process = await session.exec(command, { signal });
  process.stdin.end();
  const into = async (): Promise<void> => {
    for await (const records of nulRecords(process.stdout))
      await names.add(records.map((name) => Buffer.from(name)));
  };
  const told = complaints('find', process, (line) => {
    const [, path, because] = /^find: (\/.*): ([^:]+)$/.exec(line) ?? [];
    if (path === undefined || because === undefined) return false;
    const bytes = Buffer.from(path, 'latin1');
    const message = `${show(bytes)} cannot be listed (${because}); the backup does not hold what is in it.`;
    warn({ code: 'FILE_UNREADABLE', message, path: bytes });
    return true;
  });
  await withItsEnd(told, into());
}

async function stat(
  { session, signal, warn }: ScanOptions,
  names: Spill,
  take: (record: StatRecord) => Promise<void>,
): Promise<void> {
  const mark = newMark();
  const process = await session.exec(['xargs', '-0', 'stat', '-c', statFormat(mark), '--'], { signal });
  const parser = createStatParser(mark);
  const into = async (): Promise<void> => {
    for await (const chunk of process.stdout as AsyncIterable<Buffer>) {
      for (const record of parser.take(chunk)) await take(record);
    }
    for (const record of parser.end()) await take(record);
  };
  const told = complaints('stat', process, (line) => {
    const text = Buffer.from(line, 'latin1').toString('utf8');
    warn({
      code: 'FILE_UNREADABLE',
      message: `The backup does not hold what stat could not look at: ${text}`,
    });
    return true;
  });
  await withItsEnd(told, Promise.all([feed(process, names), into()]));
}

/** What vanishes meanwhile is nothing; of each other complaint `tell` says whether it is understood. */
async function complaints(
  program: string,
  process: RemoteProcess,
  tell: (line: string) => boolean,
): Promise<void> {
  const tail = createTail();
  let strange = false;
  const [exit] = await Promise.all([
    process.done,
    readLines(process.stderr, (line) => {
      tail.add(line);
      if (!GONE.test(line) && !tell(line)) strange = true;
    }),
  ]);
  // 123: some of what xargs ran failed.
  if (exit.code === 0 || ((exit.code === 1 || exit.code === 123) && !strange)) return;
  throw new AppError(
    'COMMAND_FAILED',
    `${program} failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
    {
      retryable: wasKilled(exit),
    },
  );
}
