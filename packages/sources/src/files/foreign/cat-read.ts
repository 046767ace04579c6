import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { linkSignal } from '../link-signal.ts';
import { wasKilled } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { changed, type Wanted } from './build-tar.ts';
import { catEntry, type LinkNames, linkKey } from './cat-entry.ts';
import { createFramed, type Framed, wholePart } from './framed.ts';
import { createStatParser, newMark, type StatRecord, statFormat } from './stat-records.ts';

/** What one command reads: so many entries, and of content so many bytes unless one file alone has more. */
const BATCH_ENTRIES = 256;
const BATCH_BYTES = 16 * 1024 * 1024;
/** busybox's xargs gives a command 32 KiB of arguments, and all must fit one command. */
const BATCH_NAMES = 16 * 1024;
const STAT_MAX = 1024 * 1024;

/**
 * For each path what it holds, behind a secret that comes on standard input, so that no list of processes shows it.
 * stat tells of all of them before and after. What is opened must be what has the name (`-ef`): the shell would
 * follow a link that took a file's place. A program that was killed (`$?` above 128) has not said that there is no more.
 */
const ENTRIES = `
alive() { [ $? -le 128 ] || exit 125; }
stat -c "$format" -- "$@" 2>/dev/null; alive
printf %sA "$secret"
for p do
  rest=\${flags#?}; flag=\${flags%"$rest"}; flags=$rest
  if [ -L "$p" ]; then printf %sl "$secret"; readlink "$p"; alive; printf %s. "$secret"
  elif [ "$flag" = s ]; then printf %ss "$secret"
  elif [ -f "$p" ]; then
    { if [ ! -e /proc/self/fd/3 ] || { [ ! -L "$p" ] && [ "$p" -ef /proc/self/fd/3 ]; }; then
        printf %so "$secret"
        if cat <&3; then printf %sk "$secret"; else alive; printf %se "$secret"; fi
      else printf %sx "$secret"
      fi; } 3<"$p" || printf %sx "$secret"
  elif [ -e "$p" ]; then printf %sn "$secret"
  else printf %sm "$secret"
  fi
done
stat -c "$format" -- "$@" 2>/dev/null; alive
printf %sB "$secret"
`;
const START =
  'IFS= read -r secret; IFS= read -r flags; format=$1; export secret flags format; exec xargs -0 sh -c "$2" sh';

/** The entries of what is wanted, read by `cat` with the tools that busybox has. */
export async function* catEntries(
  session: Session,
  outer: AbortSignal,
  wanted: AsyncGenerator<Wanted>,
  leaveOut: (warning: SourceWarning) => void,
  warn: (warning: SourceWarning) => void,
): AsyncGenerator<Buffer> {
  const links: LinkNames = new Map();
  const tell = { leaveOut, warn };
  let rest: Wanted[] = [];
  let next: Wanted | null = null;
  const source = async (): Promise<Wanted | null> => {
    const before = rest.shift() ?? next;
    next = null;
    if (before) return before;
    const { done, value } = await wanted.next();
    return done ? null : value;
  };
  try {
    for (;;) {
      const gathered = await gather(source, links);
      next = gathered.next;
      if (gathered.batch.length === 0) return;
      const left: Wanted[] = yield* readBatch(session, outer, gathered.batch, links, tell);
      if (left.length > 0) {
        rest = [...left, ...(next ? [next] : []), ...rest];
        next = null;
      }
    }
  } finally {
    await wanted.return(undefined);
  }
}

/** A further name of a content waits until it is known how the first fared. */
async function gather(
  source: () => Promise<Wanted | null>,
  links: LinkNames,
): Promise<{ batch: Wanted[]; next: Wanted | null }> {
  const batch: Wanted[] = [];
  const pending = new Set<string>();
  let bytes = 0;
  let names = 0;
  for (;;) {
    const item = await source();
    if (item === null) return { batch, next: null };
    const { path, facts } = item;
    const key = linkKey(facts);
    bytes += facts.type === 'f' && (key === null || !links.has(key)) ? facts.size : 0;
    names += path.length + 16;
    const full = batch.length === BATCH_ENTRIES || bytes > BATCH_BYTES || names > BATCH_NAMES;
    if (batch.length > 0 && (full || (key !== null && pending.has(key)))) return { batch, next: item };
    batch.push(item);
    if (key !== null && !links.has(key)) pending.add(key);
  }
}

/** Gives what it did not come to, because a file before it went on growing. */
async function* readBatch(
  session: Session,
  outer: AbortSignal,
  batch: readonly Wanted[],
  links: LinkNames,
  tell: Parameters<typeof catEntry>[4],
): AsyncGenerator<Buffer, Wanted[]> {
  const mark = newMark();
  const secret = newMark();
  const link = linkSignal(outer);
  const known = ({ facts }: Wanted): boolean => links.has(linkKey(facts) ?? '');
  const flags = batch.map((item) => (known(item) ? 's' : 'r')).join('');
  try {
    const argv = ['sh', '-c', START, 'sh', statFormat(mark), ENTRIES];
    const process = await session.exec(argv, { signal: link.signal });
    const names = batch.flatMap(({ path }) => [path, Buffer.from([0])]);
    process.stdin.end(Buffer.concat([Buffer.from(`${secret}\n${flags}\n`), ...names]));
    const tail = createTail();
    const told = readLines(process.stderr, tail.add);
    // Its end is looked at below; an abort of ours is none of anybody's.
    told.catch(() => undefined);
    const framed = createFramed(process.stdout, secret);
    const before = await statPart(framed, mark, 'A');
    const files: [StatRecord, boolean][] = [];
    for (const [index, { path }] of batch.entries()) {
      const record = before.get(path.toString('latin1')) ?? null;
      const how = yield* catEntry(framed, path, record, links, tell);
      if (how === 'endless') {
        link.abort(new Error('A file went on growing while it was read.'));
        return batch.slice(index + 1);
      }
      if (record && how !== 'none') files.push([record, how === 'whole']);
    }
    const after = await statPart(framed, mark, 'B');
    for (const [record, whole] of files) {
      if (whole) tellChange(record, after.get(record.path.toString('latin1')), tell.warn);
    }
    process.stdout.resume();
    const exit = await process.done;
    if (exit.code === 0) return [];
    throw new AppError(
      'COMMAND_FAILED',
      `Reading files failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
      { retryable: wasKilled(exit) },
    );
  } catch (error) {
    link.abort(error);
    throw error;
  } finally {
    link.release();
  }
}

async function statPart(framed: Framed, mark: string, letter: string): Promise<Map<string, StatRecord>> {
  const parser = createStatParser(mark);
  const records = [...parser.take(await wholePart(framed, STAT_MAX)), ...parser.end()];
  if ((await framed.letter()) !== letter) {
    throw new AppError('COMMAND_FAILED', 'The server printed something else than was asked for.');
  }
  return new Map(records.map((record) => [record.path.toString('latin1'), record]));
}

function tellChange(
  { path, facts }: StatRecord,
  after: StatRecord | undefined,
  warn: (warning: SourceWarning) => void,
): void {
  const same = (['size', 'mtime', 'ctime', 'inode'] as const).every(
    (fact) => after?.facts[fact] === facts[fact],
  );
  if (!same) warn(changed(path));
}
