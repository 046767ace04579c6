import type { Capture, CaptureOptions, SourceWarning } from '../../types.ts';
import { findCopies } from '../copies/find-copies.ts';
import { linkSignal } from '../link-signal.ts';
import { createWarningLimiter } from '../warnings.ts';
import { buildIndex, noteOf } from './build-index.ts';
import { decide } from './compare.ts';
import { createLists } from './lists.ts';
import type { EndedEntry } from './pass-tar.ts';
import type { TarHelp } from './tar-options.ts';
import { createTotals } from './totals.ts';
import { createUnreadable } from './unreadable.ts';
import { createVanished } from './vanished.ts';
import { chooseWay } from './ways.ts';

export interface CaptureDeps {
  /** Of the worker, for the list of names. */
  tmpDir: string;
  /** Shared by all captures of a process; each asks for itself without it. */
  tarHelp?: TarHelp;
}

/**
 * A service's files as a tar stream: listed and then read by the best means that the server has
 * (GNU find and tar, whose bytes pass through unchanged, before all). The lists wait on the worker's disk in between. See `docs/services.md`.
 */
export async function captureFiles(deps: CaptureDeps, options: CaptureOptions): Promise<Capture> {
  const { session, service } = options;
  const link = linkSignal(options.signal);
  const { signal } = link;
  const limiter = createWarningLimiter(options.warn);
  const unreadable = createUnreadable();
  const vanished = createVanished();
  const warn = oncePerPath((warning) => {
    unreadable.see(warning);
    vanished.see(warning);
    limiter.warn(warning);
  });
  const way = await chooseWay(
    { tmpDir: deps.tmpDir, tarHelp: deps.tarHelp ?? new WeakMap() },
    session,
    signal,
  ).catch((error: unknown) => {
    link.release();
    throw error;
  });
  const lists = createLists(deps.tmpDir);
  try {
    const roots = await way.resolveRoots(session, service, signal, warn);
    const what = { session, service, roots, signal, warn };
    const clock = await way.scan(what, lists.sorter);
    const counts = createTotals();
    const { records, copies, ...found } = await findCopies({
      ...options,
      lists,
      clock,
      look: () => way.look(what),
    });
    await decide(records, { ...found, copies }, lists, counts.add);
    const onWarned = (): Promise<void> => {
      limiter.close();
      const { totals } = counts;
      const resolveRoots = () => way.resolveRoots(session, service, signal, () => undefined);
      return vanished.assertFew({ service: service.name, roots, totals, resolveRoots });
    };
    const reading = {
      ...{ roots, lists, signal, warn, onEntry: options.onEntry, onWarned },
      onEnd: (ended: readonly EndedEntry[]) => lists.read.add(ended.flatMap(noteOf)),
      copies: copies.copies(),
    };
    const tar = await way.read(reading, what);
    tar.once('close', () => {
      // Whoever stopped reading early: nothing of it goes on running on the server.
      if (!tar.readableEnded) link.abort(tar.errored ?? new Error('The capture was given up.'));
      link.release();
      void way.close();
    });
    return {
      roots,
      totals: counts.totals,
      tar,
      index: () => buildIndex(lists.decided, lists.read, clock),
      unreadable: unreadable.paths,
      async close() {
        tar.destroy();
        await way.close();
        await lists.close();
      },
    };
  } catch (error) {
    link.abort(error);
    link.release();
    await way.close();
    await lists.close();
    throw error;
  } finally {
    await options.parent?.return(undefined);
  }
}

/** find and tar both complain about a folder that cannot be opened: it is told once. */
function oncePerPath(warn: (warning: SourceWarning) => void): (warning: SourceWarning) => void {
  const told = new Set<string>();
  return (warning) => {
    const key = warning.path && warning.code === 'FILE_UNREADABLE' ? warning.path.toString('latin1') : null;
    if (key !== null && told.has(key)) return;
    if (key !== null && told.size < 10_000) told.add(key);
    warn(warning);
  };
}
