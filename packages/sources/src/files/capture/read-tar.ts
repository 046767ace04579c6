import { pipeline, type Readable, Transform } from 'node:stream';
import { pipeline as finishedPipeline } from 'node:stream/promises';
import { createTarWalker, type EntryEnd, type TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { createTail, readLines } from '../read-lines.ts';
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
  onEnd(ended: readonly [TarEntry, EntryEnd][]): Promise<void>;
  /** There are no more warnings. */
  onWarned(): void;
}

/**
 * Feeds tar its list and gives what it writes, checked header by header. The stream ends only after tar has ended
 * well and every name of the list is either in it or was warned about; every other end is its error.
 */
export function readTar(options: ReadTarOptions): Readable {
  const { process, spill, signal } = options;
  let entries = 0;
  const fed = feed(process, spill);
  const told = judge(options);
  // Both are awaited at the stream's end; until then a fault of theirs is nobody's.
  for (const early of [fed, told]) early.catch(() => undefined);
  const settle = async (): Promise<void> => {
    // tar's own words first: when it fails, its input breaks too, and the stream it leaves ends too early.
    const messages = await told;
    await fed;
    options.onWarned();
    const silent = spill.records() - entries - messages;
    if (silent > 0) {
      throw new AppError(
        'COMMAND_FAILED',
        `tar left out ${silent} of ${spill.records()} entries without a word.`,
      );
    }
  };
  const gate = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
    flush: (done) => {
      told.then(() => done(), done);
    },
  });
  let ended: [TarEntry, EntryEnd][] = [];
  const note = async (): Promise<void> => {
    if (ended.length === 0) return;
    const batch = ended;
    ended = [];
    await options.onEnd(batch);
  };
  const walker = createTarWalker({
    onEntry(entry) {
      entries += 1;
      options.onEntry(entry);
    },
    onEnd: (entry, end) => void ended.push([entry, end]),
  });
  const last = new Transform({
    readableHighWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      if (ended.length === 0) done(null, chunk);
      else note().then(() => done(null, chunk), done);
    },
    flush: (done) => {
      note()
        .then(settle)
        .then(() => done(), done);
    },
  });
  // An error of any of them destroys the last one with it, which is how the reader learns of it.
  pipeline(process.stdout, gate, walker, last, () => undefined);
  // A fault before anybody reads waits in the stream for whoever comes.
  last.on('error', () => undefined);
  const abort = (): void => void last.destroy(asError(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  last.once('close', () => signal.removeEventListener('abort', abort));
  if (signal.aborted) abort();
  return last;
}

async function feed(process: RemoteProcess, spill: Spill): Promise<void> {
  try {
    await finishedPipeline(await spill.read(), process.stdin);
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
    { retryable: exit.signal !== null },
  );
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
