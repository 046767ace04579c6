import type { Duplex } from 'node:stream';
import { probe } from './probe.ts';
import { runCommand } from './run-command.ts';
import type { Argv } from './shell-command.ts';
import type { Address, Capabilities, ExecOptions, RemoteFiles, RemoteProcess, Session } from './types.ts';

export interface SessionDriver {
  exec(argv: Argv, options: ExecOptions): Promise<RemoteProcess>;
  sftp(signal: AbortSignal): Promise<RemoteFiles>;
  dial(to: Address, signal: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
}

/** Where the answer to the probe of one server is kept. */
export interface KnownCapabilities {
  found: Promise<Capabilities> | null;
  /** By `performance.now()`. */
  at: number;
}

/** Sessions that share an answer ask again after this long: tools are installed and replaced meanwhile. */
const KNOWN_FOR_MS = 10_000;

/**
 * What every driver's session has in common, on top of running commands. Sessions of one server may share what the
 * probe found; the same object then tells that nothing was asked anew.
 */
export function createSession(
  driver: SessionDriver,
  fingerprint: string | null,
  shared?: KnownCapabilities,
): Session {
  const run: Session['run'] = (argv, options) => runCommand(driver.exec, argv, options);
  const known: KnownCapabilities = shared ?? { found: null, at: 0 };
  return {
    exec: driver.exec,
    run,
    sftp: driver.sftp,
    dial: driver.dial,
    async capabilities(signal) {
      signal.throwIfAborted();
      if (shared && performance.now() - known.at > KNOWN_FOR_MS) known.found = null;
      if (known.found) {
        const found = await known.found.catch(() => null);
        if (found) return found;
        signal.throwIfAborted();
      }
      // A fault or an abort of one asker is not the answer for the next.
      const asked = probe(run, signal);
      known.found = asked;
      known.at = performance.now();
      try {
        return await asked;
      } catch (error) {
        if (known.found === asked) known.found = null;
        throw error;
      }
    },
    fingerprint,
    close: () => driver.close(),
  };
}
