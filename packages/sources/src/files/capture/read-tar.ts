import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { wasKilled } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { type Copies, type EndedEntry, passTar } from './pass-tar.ts';
import type { Spill } from './spill.ts';
import { readTarMessage } from './tar-messages.ts';

export interface ReadTarOptions {
  process: RemoteProcess;
  /** The names to read. */
  spill: Spill;
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
  onEntry(entry: TarEntry): void;
  /** Each entry once all of it has passed; awaited before more is read. */
  onEnd(ended: readonly EndedEntry[]): Promise<void>;
  copies: Copies | null;
  /** There are no more warnings; its rejection is the stream's error. */
  onWarned(): Promise<void>;
}

/**
 * Feeds tar its list and gives what it writes, checked header by header. The stream ends only after tar has ended
 * well and every name of the list is either in it or was warned about; every other end is its error.
 */
export function readTar(options: ReadTarOptions): Readable {
  const { process, spill, signal } = options;
  const fed = feed(process, spill);
  const told = judge(options);
  // Both are awaited at the stream's end; until then a fault of theirs is nobody's.
  for (const early of [fed, told]) early.catch(() => undefined);
  const settle = async (entries: number): Promise<void> => {
    // tar's own words first: when it fails, its input breaks too, and the stream it leaves ends too early.
    const messages = await told;
    await fed;
    await options.onWarned();
    const silent = spill.records() - entries - messages;
    if (silent > 0) {
      throw new AppError(
        'COMMAND_FAILED',
        `tar left out ${silent} of ${spill.records()} entries without a word.`,
      );
    }
  };
  return passTar({
    ...{ source: process.stdout, told, signal, onEntry: options.onEntry, onEnd: options.onEnd },
    ...{ copies: options.copies, settle },
  });
}

/** Gives a program its list. CONNECTION_LOST when it did not get it whole. */
export async function feed(process: RemoteProcess, spill: Spill): Promise<void> {
  try {
    await pipeline(await spill.read(), process.stdin);
  } catch (cause) {
    if (cause instanceof AppError) throw cause;
    throw new AppError('CONNECTION_LOST', 'The list of files did not reach the server whole.', {
      retryable: true,
      cause,
    });
  }
}

/** How many warnings tar gave about single files. Fails when tar did for any other reason. */
async function judge({ process, warn }: ReadTarOptions): Promise<number> {
  const tail = createTail();
  let messages = 0;
  let strange = false;
  const [exit] = await Promise.all([
    process.done,
    readLines(process.stderr, (line) => {
      const message = readTarMessage(line);
      if (message === 'summary') return;
      if (message !== null) {
        messages += 1;
        warn(message);
        return;
      }
      tail.add(line);
      // What a login shell has to say is not tar's.
      if (line.startsWith('tar: ')) strange = true;
    }),
  ]);
  // 1: some files changed; 2: some could not be read, and each of them was named.
  if (exit.code === 0 || exit.code === 1 || (exit.code === 2 && messages > 0 && !strange)) return messages;
  throw new AppError(
    'COMMAND_FAILED',
    `tar failed on the server (${exit.signal ?? `exit code ${exit.code}`}): ${tail.text()}`,
    { retryable: wasKilled(exit) },
  );
}
