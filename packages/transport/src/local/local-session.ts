import { type ChildProcess, spawn } from 'node:child_process';
import { once, setMaxListeners } from 'node:events';
import { homedir } from 'node:os';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, errnoOf } from '@tarfleet/kernel';
import { createDeferred } from '../deferred.ts';
import { type Argv, commandLine, shellCommand } from '../shell-command.ts';
import { createInput } from '../streams.ts';
import type { Address, ExecOptions, Exit, RemoteProcess } from '../types.ts';
import { dialLocal } from './dial-local.ts';
import { endGroup } from './end-group.ts';

/** Nothing of the worker's own environment, which holds keys, reaches a command. */
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
const CLOSE_GRACE_MS = 1000;

/** Commands on this machine, as the worker's own user. */
export function createLocalSession(): {
  exec: (argv: Argv, options: ExecOptions) => Promise<RemoteProcess>;
  sftp: () => Promise<never>;
  dial: (to: Address, signal: AbortSignal) => Promise<Duplex>;
  close: () => Promise<void>;
} {
  const running = new Map<RemoteProcess, (reason: unknown) => Promise<void>>();
  let closed = false;

  const exec = async (argv: Argv, { signal, env }: ExecOptions): Promise<RemoteProcess> => {
    signal.throwIfAborted();
    if (closed) throw closedError();
    // One signal for all the commands of a job is as it should be, and no leak.
    setMaxListeners(0, signal);
    // The same limit as over ssh, so that what works here works there.
    commandLine(shellCommand(argv, env ? { env } : {}));
    const words = shellCommand(argv, { ...(env ? { env } : {}), direct: true });
    // A group of its own, so that all it starts can be ended with it.
    const child = spawn(words[0], words.slice(1), {
      cwd: '/',
      detached: true,
      env: { PATH, HOME: homedir() },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    // Known at once, so that nothing can come between the start and the book of what runs.
    if (child.pid === undefined) {
      const [error] = await once(child, 'error');
      throw new AppError('COMMAND_FAILED', `This machine could not start a process (${errnoOf(error)}).`, {
        retryable: true,
        cause: error,
      });
    }
    const { process, abort } = follow(child, signal, () => running.delete(process));
    running.set(process, abort);
    if (signal.aborted) await abort(signal.reason);
    signal.throwIfAborted();
    return process;
  };
  return {
    exec,
    async sftp() {
      throw new AppError('NOT_SUPPORTED', 'There is no SFTP to the machine that a worker itself runs on.');
    },
    async dial(to, signal) {
      if (closed) throw closedError();
      return dialLocal(to, signal);
    },
    async close() {
      closed = true;
      await Promise.all([...running.values()].map((abort) => abort(closedError())));
    },
  };
}

type Piped = ChildProcess & { stdin: NodeJS.WritableStream };

function follow(child: Piped | ReturnType<typeof spawn>, signal: AbortSignal, onSettled: () => void) {
  const { stdin, stdout, stderr, pid } = child;
  if (!stdin || !stdout || !stderr || pid === undefined)
    throw new Error('a spawned child has pipes and an id');
  const done = createDeferred<Exit>();
  const closed = once(child, 'close');
  let ending: Promise<void> | null = null;
  let settled = false;
  // The caller may look at the streams first, and an error there is told by `done` too.
  done.promise.catch(() => undefined);
  stdout.on('error', () => undefined);
  stderr.on('error', () => undefined);
  const input = createInput(stdin);

  const settle = (finish: () => void): void => {
    if (settled) return;
    settled = true;
    signal.removeEventListener('abort', onAbort);
    input.close();
    finish();
    onSettled();
  };
  const abort = (reason: unknown): Promise<void> => {
    if (settled) return Promise.resolve();
    ending ??= (async () => {
      const error =
        reason instanceof Error ? reason : new Error('The command was stopped.', { cause: reason });
      stdout.destroy(error);
      stderr.destroy(error);
      input.close();
      await endGroup(pid);
      await Promise.race([closed, sleep(CLOSE_GRACE_MS, undefined, { ref: false })]);
      settle(() => done.reject(reason));
    })();
    return ending;
  };
  const onAbort = (): void => void abort(signal.reason);
  child.once('exit', () => input.close());
  child.once('close', (code, name) => {
    if (!ending) settle(() => done.resolve({ code, signal: name }));
  });
  signal.addEventListener('abort', onAbort, { once: true });
  return { process: { stdin: input.stream, stdout, stderr, done: done.promise }, abort };
}

function closedError(): AppError {
  return new AppError('CONNECTION_LOST', 'The local session was closed.', { retryable: true });
}
