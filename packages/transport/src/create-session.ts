import { probe } from './probe.ts';
import { runCommand } from './run-command.ts';
import type { Argv } from './shell-command.ts';
import type { Capabilities, ExecOptions, RemoteProcess, Session } from './types.ts';

export interface SessionDriver {
  exec(argv: Argv, options: ExecOptions): Promise<RemoteProcess>;
  close(): Promise<void>;
}

/** What every driver's session has in common, on top of running commands. */
export function createSession(driver: SessionDriver, fingerprint: string | null): Session {
  const run: Session['run'] = (argv, options) => runCommand(driver.exec, argv, options);
  let known: Promise<Capabilities> | null = null;
  return {
    exec: driver.exec,
    run,
    async capabilities(signal) {
      signal.throwIfAborted();
      known ??= probe(run, signal);
      try {
        return await known;
      } catch (error) {
        // A fault or an abort of one asker is not the answer for the next.
        known = null;
        throw error;
      }
    },
    fingerprint,
    close: () => driver.close(),
  };
}
