import type { Capture, CaptureOptions, SourceWarning } from '../../types.ts';
import { linkSignal } from '../link-signal.ts';
import { createWarningLimiter } from '../warnings.ts';
import { readTar } from './read-tar.ts';
import { resolveRoots } from './resolve-roots.ts';
import { scan } from './scan.ts';
import { createSpill } from './spill.ts';
import { assertTools, type TarHelp, tarArguments } from './tar-options.ts';

export interface CaptureDeps {
  /** Of the worker, for the list of names. */
  tmpDir: string;
  /** Shared by all captures of a process; each asks for itself without it. */
  tarHelp?: TarHelp;
}

/**
 * A service's files as a tar stream: one `find` lists them, one GNU `tar` reads them, and its bytes pass through
 * unchanged. The list waits on the worker's disk in between. See `docs/services.md`.
 */
export async function captureFiles(deps: CaptureDeps, options: CaptureOptions): Promise<Capture> {
  const { session, service } = options;
  const link = linkSignal(options.signal);
  const { signal } = link;
  const limiter = createWarningLimiter(options.warn);
  const warn = oncePerPath(limiter.warn);
  await assertTools(session, signal);
  const spill = await createSpill(deps.tmpDir);
  const release = async (): Promise<void> => {
    link.release();
    await spill.close();
  };
  try {
    const roots = await resolveRoots(session, service, signal, warn);
    const totals = await scan({ session, service, roots, signal, warn }, spill);
    const command = await tarArguments(deps.tarHelp ?? new WeakMap(), session, roots, signal);
    const process = await session.exec(command, { signal });
    const tar = readTar({ process, spill, signal, warn, onEntry: options.onEntry, onWarned: limiter.close });
    tar.once('close', () => {
      // Whoever stopped reading early: nothing of it goes on running on the server.
      if (!tar.readableEnded) link.abort(tar.errored ?? new Error('The capture was given up.'));
      // Closing a file whose name is gone already fails only for what was closed before.
      release().catch(() => undefined);
    });
    return { totals, tar };
  } catch (error) {
    link.abort(error);
    await release();
    throw error;
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
