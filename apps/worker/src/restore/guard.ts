import { AppError } from '@tarfleet/kernel';
import type { RemoteProcess, Session } from '@tarfleet/transport';
import {
  FULL,
  GUARD_SCRIPT,
  LOCKED,
  SUPERSEDED,
  TAKE_SCRIPT,
  TIDY_SCRIPT,
  WHOLE,
  WRITE_SCRIPT,
} from './guard-script.ts';

export interface Attempt {
  jobId: string;
  /** Rises with every attempt, wherever it runs. */
  attempt: number;
  token: string;
}

/** One attempt's right to act on a server, until a later one takes it. */
export interface Guard {
  /** The same session; its commands run only while this attempt may act: ATTEMPT_SUPERSEDED afterwards. */
  session: Session;
  /** For a service's commands: as the session's, but what they leave running does not hold the restore's lock. */
  wrapService(argv: readonly string[]): readonly string[];
  /** The journal as it was found, or null. */
  found: Buffer | null;
  /** Writes the journal, a single line with its end, whole or not at all. */
  write(journal: Buffer, signal: AbortSignal): Promise<void>;
}

/**
 * Makes an attempt the one that may act on the server, and ends what an earlier one still runs there. Errors:
 * ATTEMPT_SUPERSEDED (a later one has been here), TOOL_MISSING (flock), COMMAND_FAILED, and the session's.
 */
export async function takeGuard(session: Session, own: Attempt, signal: AbortSignal): Promise<Guard> {
  const words = [own.jobId, String(own.attempt), own.token];
  const taken = await session.run(['sh', '-c', TAKE_SCRIPT, 'sh', ...words], { signal });
  if (taken.code === SUPERSEDED) throw superseded();
  if (taken.code === 127) {
    throw new AppError('TOOL_MISSING', 'The server lacks flock (package util-linux). Install it there.');
  }
  if (taken.code === FULL) {
    throw new AppError(
      'INSUFFICIENT_STORAGE',
      `The server cannot keep the restore's journal (in /var/lib/tarfleet, or in .tarfleet in the user's home): ${lastLine(taken.stderr)}`,
    );
  }
  if (taken.code !== 0) {
    const reason = taken.code === LOCKED ? 'something still holds its lock' : lastLine(taken.stderr);
    throw new AppError('COMMAND_FAILED', `The restore's journal on the server cannot be had: ${reason}.`, {
      retryable: taken.code === LOCKED,
    });
  }
  const wrap = (how: 'keep' | 'close') => ['sh', '-c', GUARD_SCRIPT, 'sh', ...words, how];
  const guarded = guardSession(session, wrap('keep'));
  return {
    session: guarded,
    wrapService: (argv) => [...wrap('close'), ...argv],
    found: taken.stdout.length > 0 ? taken.stdout : null,
    async write(input, writing) {
      const script = ['sh', '-c', WRITE_SCRIPT, 'sh', own.jobId];
      const whole = Buffer.concat([input, Buffer.from(WHOLE)]);
      const written = await guarded.run(script, { signal: writing, input: whole });
      if (written.code !== 0) {
        throw new AppError(
          'COMMAND_FAILED',
          `The restore's journal could not be written on the server: ${lastLine(written.stderr)}`,
        );
      }
    },
  };
}

/** Removes the journals of restores that ended long ago. */
export async function tidyJournals(session: Session, jobId: string, signal: AbortSignal): Promise<void> {
  await session.run(['sh', '-c', TIDY_SCRIPT, 'sh', jobId], { signal });
}

function guardSession(session: Session, guard: readonly string[]): Session {
  const judge = <E extends { code: number | null }>(exit: E): E => {
    if (exit.code === SUPERSEDED) throw superseded();
    if (exit.code === LOCKED) {
      throw new AppError('COMMAND_FAILED', "The restore's lock on the server was not to be had.", {
        retryable: true,
      });
    }
    return exit;
  };
  return {
    async exec(argv, options): Promise<RemoteProcess> {
      const process = await session.exec([...guard, ...argv], options);
      const done = process.done.then(judge);
      // As with the session's own: nobody needs to wait for it.
      done.catch(() => undefined);
      return { ...process, done };
    },
    run: async (argv, options) => judge(await session.run([...guard, ...argv], options)),
    sftp: (signal) => session.sftp(signal),
    dial: (to, signal) => session.dial(to, signal),
    capabilities: (signal) => session.capabilities(signal),
    fingerprint: session.fingerprint,
    close: () => session.close(),
  };
}

function superseded(): AppError {
  return new AppError('ATTEMPT_SUPERSEDED', 'Another worker has taken over this restore.');
}

function lastLine(bytes: Buffer): string {
  return bytes.toString().trim().split('\n').at(-1)?.slice(0, 300) || 'no reason given';
}
