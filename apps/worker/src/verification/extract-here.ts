import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createTarWalker, type TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { Session } from '@tarfleet/transport';

const SLASH = 0x2f;
const WORDS_BYTES = 2000;

export interface TarHereOptions {
  options: readonly string[];
  folder: string;
  tar(): Promise<Readable>;
  /** Lines that it may print and that say nothing. */
  ignore?: RegExp;
}

const NOTHING = /^$/;

/**
 * Runs the worker's own tar on a tar stream, in a folder. Gives its exit code and the end of what it printed. Names
 * that lead out of the folder are ARCHIVE_MALFORMED; no GNU tar is TOOL_MISSING; a fault of the stream is thrown as
 * it is, once tar has ended.
 */
export async function tarHere(
  session: Session,
  { options, folder, tar, ignore = NOTHING }: TarHereOptions,
  signal: AbortSignal,
): Promise<{ code: number | null; words: string }> {
  if ((await session.capabilities(signal)).tar !== 'gnu') {
    throw new AppError('TOOL_MISSING', 'A test restore needs GNU tar on the worker. Install it there.');
  }
  const stop = new AbortController();
  const both = AbortSignal.any([signal, stop.signal]);
  const source = await tar();
  try {
    const argv = ['tar', ...options, '--file=-', `--directory=${folder}`, '--numeric-owner'];
    const child = await session.exec(argv, { signal: both });
    const words = collect([child.stdout, child.stderr], ignore);
    const fed = pipeline(source, createTarWalker({ onEntry: assertInside }), child.stdin, {
      signal: both,
    }).catch((error: unknown) => {
      // tar must not take the break for the archive's end; but when it ended first, its own words tell why.
      if (!(error instanceof AppError && error.code === 'COMMAND_FAILED')) stop.abort(error);
      throw error;
    });
    const [ended, feeding] = await Promise.allSettled([child.done, fed]);
    signal.throwIfAborted();
    if (stop.signal.aborted) throw stop.signal.reason;
    if (ended.status === 'rejected') throw ended.reason;
    const { code } = ended.value;
    if (feeding.status === 'rejected' && code === 0) throw feeding.reason;
    return { code, words: (await words).trim() };
  } finally {
    source.on('error', () => undefined);
    source.destroy();
  }
}

/** Puts a service's files below the folder. INSUFFICIENT_STORAGE, or COMMAND_FAILED with tar's words: neither is the backup's fault. */
export async function extractHere(
  session: Session,
  { folder, tar, asRoot }: { folder: string; tar: () => Promise<Readable>; asRoot: boolean },
  signal: AbortSignal,
): Promise<void> {
  const options = [
    ...['--extract', '--preserve-permissions', asRoot ? '--same-owner' : '--no-same-owner'],
    ...['--delay-directory-restore', '--quoting-style=c', '--warning=no-timestamp'],
  ];
  const { code, words } = await tarHere(session, { options, folder, tar }, signal);
  if (code === 0) return;
  if (/No space left on device|Disk quota exceeded|Wrote only \d+ of \d+ bytes/.test(words)) {
    throw new AppError(
      'INSUFFICIENT_STORAGE',
      `The worker's TMP_DIR became full during the test restore. Make room there, then verify again. ${words}`,
    );
  }
  throw new AppError(
    'COMMAND_FAILED',
    `The test restore could not be carried out on this worker: tar ended with ${code}: ${words}`,
  );
}

function assertInside({ path, type, linkTarget, offset }: TarEntry): void {
  for (const name of [path, ...(type === 'hardlink' && linkTarget ? [linkTarget] : [])]) {
    if (name[0] !== SLASH && !name.toString('latin1').split('/').includes('..')) continue;
    throw new AppError(
      'ARCHIVE_MALFORMED',
      `The archive names ${JSON.stringify(name.toString())} (at byte ${offset}), which leads out of the folder that is restored.`,
    );
  }
}

/** The last of the lines. */
async function collect(streams: readonly Readable[], ignore: RegExp): Promise<string> {
  let words = '';
  const keep = (line: string): void => {
    if (!ignore.test(line)) words = `${words}${line}\n`.slice(-WORDS_BYTES);
  };
  const read = async (stream: Readable): Promise<void> => {
    let rest = '';
    for await (const chunk of stream as AsyncIterable<Buffer>) {
      const lines = (rest + chunk.toString('latin1')).split('\n');
      rest = lines.pop() ?? '';
      for (const line of lines) keep(line);
    }
    keep(rest);
  };
  // How the command ended says more than how its output did.
  await Promise.allSettled(streams.map(read));
  return words;
}
