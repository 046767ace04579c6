import type { Readable } from 'node:stream';
import { type ArchiveRoot, tarComment } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess, Session } from '@tarfleet/transport';
import { passTar } from '../capture/pass-tar.ts';
import { feed, type ReadTarOptions } from '../capture/read-tar.ts';
import { wasKilled } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';

/** Sets of options, the best first: which of them a libarchive knows depends on its age. */
const OPTIONS = [
  // GNU tar would not know libarchive's own words for attributes and file flags.
  ['--options', 'hdrcharset=BINARY,xattrheader=SCHILY', '--no-fflags'],
  ['--options', 'hdrcharset=BINARY', '--no-fflags'],
  ['--options', 'hdrcharset=BINARY'],
  [],
];

/** How bsdtar, by this name, is to be called for a capture; only with options that it knows. */
export async function bsdtarArguments(
  session: Session,
  program: string,
  signal: AbortSignal,
): Promise<string[]> {
  const base = [program, '-c', '--format', 'pax', '--numeric-owner'];
  for (const options of OPTIONS) {
    const trial = [...base, ...options, '-f', '/dev/null', '--null', '-T', '/dev/null'];
    const { code } = await session.run(trial, { signal });
    // Names are never shortened (`-P`), folders never entered (`-n`).
    if (code === 0) return [...base, ...options, ...words('-b 128 -n -P -f - -C / --null -T -')];
  }
  throw new AppError('COMMAND_FAILED', `${program} on the server does not take a list of names (--null -T).`);
}

function words(text: string): string[] {
  return text.split(' ');
}

export interface ReadBsdtarOptions extends ReadTarOptions {
  roots: readonly ArchiveRoot[];
  /** Everything has been read: finds what bsdtar does not tell, gives how many names are missing. */
  lookAgain(): Promise<number>;
}

/** As `readTar`, with bsdtar: its bytes pass unchanged behind a header of ours that names the roots. */
export function readBsdtar(options: ReadBsdtarOptions): Readable {
  const { process, spill, signal, roots } = options;
  const fed = feed(process, spill);
  const told = judge(options);
  for (const early of [fed, told]) early.catch(() => undefined);
  return passTar({
    ...{ source: process.stdout, head: tarComment(roots), told, signal },
    ...{ onEntry: options.onEntry, onEnd: options.onEnd, copies: options.copies },
    async settle(entries) {
      const complaints = await told;
      await fed;
      const missing = await options.lookAgain();
      await options.onWarned();
      const records = spill.records();
      if (entries + missing !== records || (complaints.failed && missing + complaints.others === 0)) {
        throw new AppError(
          'COMMAND_FAILED',
          `bsdtar read ${entries} of ${records} entries and ended with a fault: ${complaints.text}`,
        );
      }
    },
  });
}

/** Of a name that is then not in the archive, which `lookAgain` finds. */
const LEFT_OUT =
  /: (?:Cannot (?:stat|open)|Couldn't (?:open|visit)|Can't (?:open|read link)|Could not open)\b/;
const SUMMARY = /^\S+: Error exit delayed from previous errors\.?$/;

interface Complaints {
  failed: boolean;
  others: number;
  text: string;
}

/** What bsdtar complained of. Names stand raw in its words, so nothing is read out of them but that there are some. */
async function judge({ process, warn }: { process: RemoteProcess; warn: ReadTarOptions['warn'] }) {
  const tail = createTail();
  let others = 0;
  const [exit] = await Promise.all([
    process.done,
    readLines(process.stderr, (line) => {
      if (SUMMARY.test(line)) return;
      tail.add(line);
      if (LEFT_OUT.test(line)) return;
      others += 1;
      const text = Buffer.from(line.slice(0, 500), 'latin1').toString('utf8');
      warn({ code: 'FILE_UNREADABLE', message: `bsdtar did not read something whole: ${text}` });
    }),
  ]);
  const complaints: Complaints = { failed: exit.code !== 0, others, text: tail.text() };
  if (exit.code === 0 || exit.code === 1) return complaints;
  throw new AppError(
    'COMMAND_FAILED',
    `bsdtar failed on the server (${exit.signal ?? `exit code ${exit.code}`}): ${tail.text()}`,
    { retryable: wasKilled(exit) },
  );
}
