import { setTimeout as sleep } from 'node:timers/promises';
import type { AppError } from '@tarfleet/kernel';
import { createDeferred } from '../deferred.ts';
import { createInput, createRelay } from '../streams.ts';
import type { Exit, RemoteProcess } from '../types.ts';
import type { Launched } from './launch.ts';

export interface TrackedProcess extends RemoteProcess {
  /** Ends the command on the server; `done` then rejects with `reason`. Resolves when that is over. */
  abort(reason: unknown): Promise<void>;
  /** The connection is gone: every stream and `done` fail with this. */
  lose(error: AppError): void;
}

export interface ProcessOptions {
  signal: AbortSignal;
  /** Ends the process group on the server. */
  kill: (group: number) => Promise<void>;
  /** Why the channel closed without an exit code. */
  lost: () => AppError;
  onSettled: () => void;
}

/** How long a channel may take to close after everything that held it was killed. */
const CLOSE_GRACE_MS = 1000;
/** The server takes 2.5 s at most to end a group; over a connection that hangs nobody learns that. */
const KILL_TIMEOUT_MS = 8000;
/** In which the channel of a command that has exited closes, once its output is out of the way. */
const DRAIN_MS = 250;

/** Streams and end of a launched command. */
export function createRemoteProcess(launched: Launched, options: ProcessOptions): TrackedProcess {
  const { channel, ended, processGroup } = launched;
  const { signal } = options;
  let ending: Promise<void> | null = null;
  let settled = false;
  const done = createDeferred<Exit>();
  const closed = new Promise<void>((resolve) => {
    if (ended.closed) resolve();
    else channel.once('close', () => resolve());
  });
  // The caller may look at the streams first; until then nobody waits for `done`.
  done.promise.catch(() => undefined);

  const closedWithin = (ms: number): Promise<boolean> =>
    Promise.race([closed.then(() => true), sleep(ms, false, { ref: false })]);
  const endGroup = async (): Promise<void> => {
    // A command that has exited left nothing in its group, and its number free for others, unless something
    // still holds its output open.
    if (ended.exit !== null && (await closedWithin(DRAIN_MS))) return;
    const killed = options.kill(processGroup).catch(() => {
      // Not to be had in any other way: sshd itself can signal the group of a command that it started.
      if (!settled) channel.signal('KILL');
    });
    await Promise.race([killed, sleep(KILL_TIMEOUT_MS, undefined, { ref: false })]);
  };
  const stdout = createRelay(channel, launched.stdoutHead, () => {
    // A reader who leaves early ends a local command by SIGPIPE; ssh has nothing like it.
    if (ended.exit === null && !settled) void endGroup();
  });
  const stderr = createRelay(channel.stderr, launched.stderrHead, () => undefined);
  const stdin = createInput(channel);

  const settle = (finish: () => void): void => {
    if (settled) return;
    settled = true;
    signal.removeEventListener('abort', onAbort);
    stdin.close();
    finish();
    options.onSettled();
  };
  const failWith = (reason: unknown): void => {
    const error = reason instanceof Error ? reason : new Error('The command was stopped.', { cause: reason });
    stdout.fail(error);
    stderr.fail(error);
  };
  const abort = (reason: unknown): Promise<void> => {
    if (settled) return Promise.resolve();
    ending ??= (async () => {
      failWith(reason);
      stdin.close();
      await endGroup();
      await closedWithin(CLOSE_GRACE_MS);
      channel.close();
      settle(() => done.reject(reason));
    })();
    return ending;
  };
  const lose = (error: AppError): void => {
    // What is being ended keeps its reason.
    if (settled || ending) return;
    failWith(error);
    settle(() => done.reject(error));
  };
  const onAbort = (): void => void abort(signal.reason);

  channel.on('error', () => undefined);
  const onExit = (): void => {
    stdout.confirmEnd();
    stderr.confirmEnd();
  };
  if (ended.exit) onExit();
  else channel.once('exit', onExit);
  void closed.then(() => {
    // While it is being ended, `abort` settles it, after the whole group is gone.
    if (ending) return;
    const how = ended.exit;
    if (how) settle(() => done.resolve(how));
    else lose(options.lost());
  });
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  return {
    stdin: stdin.stream,
    stdout: stdout.stream,
    stderr: stderr.stream,
    done: done.promise,
    abort,
    lose,
  };
}
