import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createTarWalker } from '@tarfleet/archive';
import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess } from '@tarfleet/transport';
import type { Capture, CaptureOptions } from '../../types.ts';
import { linkSignal } from '../link-signal.ts';
import { createTail, readLines } from '../read-lines.ts';
import { createWarningLimiter, type WarningLimiter } from '../warnings.ts';
import { resolveRoots } from './resolve-roots.ts';
import { scan } from './scan.ts';
import { createSpill, type Spill } from './spill.ts';
import { readTarMessage } from './tar-messages.ts';
import { assertTools, tarArguments } from './tar-options.ts';

/**
 * A service's files as a tar stream: one `find` lists them, one GNU `tar` reads them, and its bytes pass through
 * unchanged. The list waits on the worker's disk in between.
 */
export async function captureFiles(deps: { tmpDir: string }, options: CaptureOptions): Promise<Capture> {
  const { session, service } = options;
  const link = linkSignal(options.signal);
  const { signal } = link;
  const limiter = createWarningLimiter(options.warn);
  const spill = await createSpill(deps.tmpDir);
  const release = async (): Promise<void> => {
    link.release();
    await spill.close();
  };
  try {
    await assertTools(session, signal);
    const roots = await resolveRoots(session, service, signal, limiter.warn);
    const totals = await scan({ session, service, roots, signal, warn: limiter.warn }, spill);
    const tar = await session.exec(await tarArguments(session, roots, signal), { signal });
    const stream = readTar(tar, spill, options, limiter, async (failed) => {
      // Whatever broke on our side must not leave tar running on the server.
      if (failed) link.abort(new AppError('COMMAND_FAILED', 'The capture broke off.'));
      await release();
    });
    return { totals, tar: stream };
  } catch (error) {
    link.abort(error);
    await release();
    throw error;
  }
}

/** Feeds tar its list and gives what it writes, checked; the end comes only when tar has ended well. */
function readTar(
  tar: RemoteProcess,
  spill: Spill,
  options: CaptureOptions,
  limiter: WarningLimiter,
  onClosed: (failed: boolean) => Promise<void>,
): Readable {
  const fed = feed(tar, spill);
  const judged = judge(tar, limiter);
  // Both are awaited at the stream's end; before that a fault of theirs is not yet anybody's.
  for (const early of [fed, judged]) early.catch(() => undefined);
  const gate = new Transform({
    transform: (chunk: Buffer, _encoding, done) => done(null, chunk),
    flush: (done) => {
      Promise.all([judged, fed]).then(() => done(), done);
    },
  });
  const walker = createTarWalker({ onEntry: options.onEntry });
  const flow = pipeline(tar.stdout, walker, gate, { signal: options.signal });
  flow
    .then(
      () => false,
      () => true,
    )
    .then(onClosed)
    // The stream's reader has the error; what fails in clearing up behind it says nothing more.
    .catch(() => undefined);
  return preferCause(gate, walker, judged);
}

/** When tar failed, the walker sees a stream that ends too early: tar's own words tell more. */
function preferCause(gate: Transform, walker: Transform, judged: Promise<void>): Readable {
  const out = new Transform({ transform: (chunk: Buffer, _encoding, done) => done(null, chunk) });
  gate.on('error', (error) => {
    judged.then(
      () => out.destroy(error),
      (cause: unknown) => out.destroy(cause as Error),
    );
  });
  out.on('close', () => {
    if (!gate.readableEnded) gate.destroy();
    walker.destroy();
  });
  return gate.pipe(out);
}

async function feed(tar: RemoteProcess, spill: Spill): Promise<void> {
  try {
    await pipeline(await spill.read(), tar.stdin);
  } catch (error) {
    // tar ended before it had read its list: its exit and its words are the fault, not this.
    await tar.done;
    throw error;
  }
}

async function judge(tar: RemoteProcess, limiter: WarningLimiter): Promise<void> {
  const tail = createTail();
  let strange = false;
  const [exit] = await Promise.all([
    tar.done,
    readLines(tar.stderr, (line) => {
      const message = readTarMessage(line);
      if (message === 'summary') return;
      if (message) limiter.warn(message);
      else {
        tail.add(line);
        strange = true;
      }
    }),
  ]);
  limiter.close();
  const known = exit.code === 0 || ((exit.code === 1 || exit.code === 2) && !strange);
  if (known) return;
  throw new AppError(
    'COMMAND_FAILED',
    `tar failed on the server (${exit.signal ?? exit.code}): ${tail.text()}`,
  );
}
