import { pipeline, type Readable, Transform } from 'node:stream';
import {
  type CopyOptions,
  createCopyEditor,
  createTarWalker,
  type Elsewhere,
  type EntryEnd,
  type TarEntry,
} from '@tarfleet/archive';

/** All of an entry has passed; the last is null where the archive itself has its content. */
export type EndedEntry = readonly [TarEntry, EntryEnd, Elsewhere | null];

/** What is not to be written again; without any of it the stream passes unchanged. */
export type Copies = Pick<CopyOptions, 'repeats' | 'movedFrom' | 'largeCopies'>;

export interface PassTarOptions {
  /** What is written; owned by the stream that is given back. */
  source: Readable;
  /** What comes before it. */
  head?: Buffer;
  /** Once whoever writes it has ended, and well: until then the end of `source` is not believed. */
  told: Promise<unknown>;
  /** All of it has passed, so many entries: the last word on whether nothing is missing. */
  settle(entries: number): Promise<void>;
  signal: AbortSignal;
  onEntry(entry: TarEntry): void;
  /** Each entry once all of it has passed; awaited before more is read. */
  onEnd(ended: readonly EndedEntry[]): Promise<void>;
  copies: Copies | null;
}

/** A tar stream, checked header by header as it passes. Every end but a good one is its error; LargeCopyLost is one. */
export function passTar(options: PassTarOptions): Readable {
  const { source, told, signal } = options;
  let entries = 0;
  const gate = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
    flush: (done) => {
      told.then(() => done(), done);
    },
  });
  if (options.head) gate.push(options.head);
  let ended: EndedEntry[] = [];
  const note = async (): Promise<void> => {
    if (ended.length === 0) return;
    const batch = ended;
    ended = [];
    await options.onEnd(batch);
  };
  const onRead = (): void => {
    entries += 1;
  };
  const walker = options.copies
    ? createCopyEditor({
        ...{ ...options.copies, onEntry: options.onEntry, onRead },
        onEnd: (...entry) => void ended.push(entry),
      })
    : createTarWalker({
        onEntry(entry) {
          onRead();
          options.onEntry(entry);
        },
        onEnd: (entry, end) => void ended.push([entry, end, null]),
      });
  const last = new Transform({
    readableHighWaterMark: 256 * 1024,
    transform(chunk: Buffer, _encoding, done) {
      if (ended.length === 0) done(null, chunk);
      else note().then(() => done(null, chunk), done);
    },
    flush: (done) => {
      note()
        .then(() => options.settle(entries))
        .then(() => done(), done);
    },
  });
  // An error of any of them destroys the last one with it, which is how the reader learns of it.
  pipeline(source, gate, walker, last, () => undefined);
  // A fault before anybody reads waits in the stream for whoever comes.
  last.on('error', () => undefined);
  const abort = (): void => void last.destroy(asError(signal.reason));
  signal.addEventListener('abort', abort, { once: true });
  last.once('close', () => signal.removeEventListener('abort', abort));
  if (signal.aborted) abort();
  return last;
}

function asError(reason: unknown): Error {
  return reason instanceof Error ? reason : new Error(String(reason));
}
