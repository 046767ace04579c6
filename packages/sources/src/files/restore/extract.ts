import { type Readable, Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createTarWalker, type TarEntry } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess, Session } from '@tarfleet/transport';
import type { SourceWarning } from '../../types.ts';
import { linkSignal } from '../link-signal.ts';
import { memberName } from '../paths.ts';
import { exitOf } from '../program-end.ts';
import { createTail, readLines } from '../read-lines.ts';
import { assertSafeEntry, belongsTo } from './check-entry.ts';
import { readExtractMessage } from './extract-messages.ts';
import type { PlacedRoot } from './locate.ts';
import { serverFault, tellsFullDisk } from './server-words.ts';
import { ENTER_STAGE, type Stage, stageWords, TREE } from './stage.ts';

export interface ExtractOptions {
  session: Session;
  stage: Stage;
  roots: readonly PlacedRoot[];
  /** Extracted for the links to them, then removed: absolute paths. */
  extras: readonly Buffer[];
  /** tar's own options on this server. */
  tarOptions: readonly string[];
  openTar(): Promise<Readable>;
  signal: AbortSignal;
  warn(warning: SourceWarning): void;
  /** Only for entries of these roots. */
  onEntry(entry: TarEntry): void;
}

/**
 * One pass over the archive into the stage. It resolves only when the stream ended as an archive ends, every name
 * in it was harmless, and tar was content. Errors: the stream's own, ARCHIVE_MALFORMED, INSUFFICIENT_STORAGE,
 * COMMAND_FAILED with tar's words.
 */
export async function extract(options: ExtractOptions): Promise<void> {
  const { session, roots } = options;
  const extras = options.extras.map(memberName);
  const link = linkSignal(options.signal);
  const source = await options.openTar();
  try {
    const members = roots.flatMap((root) => (root.member ? [root.member] : []));
    const whole = members.length < roots.length;
    const tar = await session.exec(
      [
        ...['sh', '-c', `${ENTER_STAGE}umask 077\nexec "$@"`, 'sh', ...stageWords(options.stage)],
        ...['tar', ...options.tarOptions, `--directory=${TREE}`],
        ...(whole ? [] : ['--', ...members, ...extras]),
      ],
      { signal: link.signal },
    );
    await run(tar, source, options, link.abort);
    if (extras.length > 0) await removeExtras(options, extras);
  } finally {
    // Whatever is left of either ends now; after a clean end there is nothing left.
    link.abort(new AppError('COMMAND_FAILED', 'The extraction broke off.'));
    link.release();
    source.on('error', () => undefined);
    source.destroy();
  }
}

/** What is a link to them keeps their content. */
async function removeExtras({ session, stage, signal }: ExtractOptions, extras: Buffer[]): Promise<void> {
  const script = `${ENTER_STAGE}cd ./${TREE} && exec xargs -0 rm -f --`;
  const rm = await session.exec(['sh', '-c', script, 'sh', ...stageWords(stage)], { signal });
  rm.stdout.resume();
  const tail = createTail();
  const told = readLines(rm.stderr, tail.add);
  rm.stdin.on('error', () => undefined);
  rm.stdin.end(Buffer.concat(extras.flatMap((extra) => [Buffer.from('./'), extra, Buffer.from([0])])));
  const exit = await exitOf(rm, signal, told);
  if (exit.code !== 0) throw serverFault('rm failed on the server', tail.text());
}

async function run(
  tar: RemoteProcess,
  source: Readable,
  options: ExtractOptions,
  abort: (reason: unknown) => void,
): Promise<void> {
  const ours = belongsTo(options.roots);
  const walker = createTarWalker({
    onEntry(entry) {
      assertSafeEntry(entry);
      if (ours(entry)) options.onEntry(entry);
    },
  });
  tar.stdout.resume();
  const judged = judge(tar, options.warn);
  // When tar has failed, nothing more is fetched for it.
  const failed = new AbortController();
  judged.catch((error: unknown) => failed.abort(error));
  const signal = AbortSignal.any([options.signal, failed.signal]);
  const fed = pipeline(source, walker, tarInput(tar, judged), { signal }).catch((error: unknown) => {
    // tar must not take the break for the archive's end, nor wait for more: it is ended, with this as its fault.
    abort(error);
    throw error;
  });
  const [judging, feeding] = await Promise.allSettled([judged, fed]);
  if (judging.status === 'rejected' || feeding.status === 'rejected') {
    // A tar that is dying may still write, and a folder that is written to cannot be removed.
    abort(new AppError('COMMAND_FAILED', 'The extraction broke off.'));
    await tar.done.catch(() => undefined);
  }
  options.signal.throwIfAborted();
  if (judging.status === 'rejected') throw judging.reason;
  if (feeding.status === 'rejected') throw feeding.reason;
}

/**
 * tar's stdin. When tar has ended well before the stream has, what follows is still read, so that the stream's
 * own check at its end is made; when it has failed, its fault becomes this stream's.
 */
function tarInput(tar: RemoteProcess, judged: Promise<void>): Writable {
  let gone = false;
  tar.stdin.on('error', () => undefined);
  const ended = (done: (error?: Error | null) => void): void => {
    gone = true;
    judged.then(() => done(), done);
  };
  return new Writable({
    highWaterMark: 256 * 1024,
    write(chunk: Buffer, _encoding, done) {
      if (gone) return void done();
      tar.stdin.write(chunk, (error) => (error ? ended(done) : done()));
    },
    final(done) {
      tar.stdin.end();
      judged.then(() => done(), done);
    },
  });
}

async function judge(tar: RemoteProcess, warn: (warning: SourceWarning) => void): Promise<void> {
  const tail = createTail();
  let strange = false;
  let warned = false;
  const [exit] = await Promise.all([
    tar.done,
    readLines(tar.stderr, (line) => {
      const message = readExtractMessage(line);
      if (message === 'nothing') return;
      if (message) {
        warned = true;
        warn(message);
        return;
      }
      strange = true;
      tail.add(line);
      if (tellsFullDisk(line)) throw serverFault('tar failed on the server', tail.text());
    }),
  ]);
  if (exit.code === 0 || (exit.code === 2 && warned && !strange)) return;
  throw serverFault(`tar failed on the server (${exit.signal ?? exit.code})`, tail.text());
}
