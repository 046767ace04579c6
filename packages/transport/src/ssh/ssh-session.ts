import { once, setMaxListeners } from 'node:events';
import type { Duplex } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { Client } from 'ssh2';
import { createDeferred } from '../deferred.ts';
import { createLimiter } from '../limiter.ts';
import { sftpOnlyError } from '../probe.ts';
import type { Argv } from '../shell-command.ts';
import type { Address, ExecOptions, RemoteFiles, RemoteProcess } from '../types.ts';
import { createDialer } from './dial.ts';
import { endClient } from './end-client.ts';
import { lostError } from './errors.ts';
import { isSftpOnly, saysSftpOnly } from './is-sftp-only.ts';
import { createGroupKiller } from './kill-groups.ts';
import { awaitLaunch, type Launched } from './launch.ts';
import { type Become, launchScript } from './launch-script.ts';
import { openChannel } from './open-channel.ts';
import { createRemoteProcess, type TrackedProcess } from './remote-process.ts';
import { createSftpClient } from './sftp-client.ts';

export interface SshSessionOptions {
  client: Client;
  label: string;
  username: string;
  become: Become;
  logger: Logger;
  /** One more connection to the same server, to end commands with where this one has no room. */
  reopen: () => Promise<Client>;
}

export interface SshSession {
  exec(argv: Argv, options: ExecOptions): Promise<RemoteProcess>;
  sftp(signal: AbortSignal): Promise<RemoteFiles>;
  dial(to: Address, signal: AbortSignal): Promise<Duplex>;
  close(): Promise<void>;
  /** The way to the server is gone, as only the jump host's connection can know. */
  lose(cause: unknown): void;
}

/** sshd allows ten sessions a connection unless told otherwise; two are kept free to end commands with. */
const MAX_COMMANDS = 8;
const MAX_KILLERS = 2;
/** A sudo that asks something we do not recognise never answers; a loaded machine may take a while. */
const LAUNCH_TIMEOUT_MS = 60_000;
const CHANNEL_PATIENCE_MS = 60_000;
const KILL_PATIENCE_MS = 300;
/** How long an abort waits for a command that is still starting, so as to end it on the server. */
const START_GRACE_MS = 2000;

/** Commands over one connection. Owns it: `close` ends it. */
export function createSshSession(options: SshSessionOptions): SshSession {
  const { client, label, username, become, logger, reopen } = options;
  const running = new Set<TrackedProcess>();
  const starts = new Set<Promise<TrackedProcess>>();
  const commands = createLimiter(MAX_COMMANDS);
  const killers = createLimiter(MAX_KILLERS);
  let lost: AppError | null = null;
  let closing: Promise<void> | null = null;
  let lastFault: unknown = null;
  /** Once the server has shown it. */
  let sftpOnly = false;

  const lose = (cause: unknown): void => {
    lost ??= lostError(label, cause);
    for (const command of [...running]) command.lose(lost);
    client.destroy();
  };
  client.on('error', (error) => {
    lastFault = error;
  });
  client.once('close', () => lose(lastFault));

  const launch = async (
    over: Client,
    argv: Argv,
    env: Record<string, string>,
    patienceMs: number,
  ): Promise<Launched> => {
    if (lost) throw lost;
    if (sftpOnly) throw sftpOnlyError(label, username);
    const script = launchScript(argv, env, become);
    const opened = await openChannel(over, { line: script.line }, { label, lost: () => lost, patienceMs });
    return awaitLaunch(opened, script, become, {
      host: label,
      timeoutMs: LAUNCH_TIMEOUT_MS,
      lost: () => lost,
      hopeless: async (said) => {
        const none =
          said === null
            ? await isSftpOnly(over, { label, lost: () => lost, patienceMs: 0 })
            : saysSftpOnly(said);
        sftpOnly ||= none;
        return none ? sftpOnlyError(label, username) : null;
      },
    });
  };
  const track = (launched: Launched, signal: AbortSignal, onSettled: () => void): TrackedProcess => {
    const command = createRemoteProcess(launched, {
      signal,
      kill,
      lost: () => lost ?? lostError(label, lastFault),
      onSettled: () => {
        running.delete(command);
        onSettled();
      },
    });
    running.add(command);
    if (lost) command.lose(lost);
    return command;
  };
  const runQuietly = async (over: Client, argv: Argv): Promise<void> => {
    const { channel, ended } = await launch(over, argv, {}, KILL_PATIENCE_MS);
    channel.resume();
    channel.stderr.resume();
    if (!ended.closed) await once(channel, 'close');
  };
  const kill = createGroupKiller(async (argv) => {
    const release = await killers.acquire();
    try {
      await runQuietly(client, argv).catch(async (error: unknown) => {
        if (lost) throw error;
        const spare = await reopen();
        await runQuietly(spare, argv).finally(() => endClient(spare));
      });
    } catch (error) {
      logger.warn({ err: error, server: label }, 'could not end a command on the server');
      throw error;
    } finally {
      release();
    }
  });

  const exec = async (argv: Argv, { signal, env }: ExecOptions): Promise<RemoteProcess> => {
    signal.throwIfAborted();
    if (closing) throw closedError(label);
    // One signal for all the commands of a job is as it should be, and no leak.
    setMaxListeners(0, signal);
    const release = await commands.acquire(signal);
    if (closing) {
      release();
      throw closedError(label);
    }
    const starting = launch(client, argv, env ?? {}, CHANNEL_PATIENCE_MS).then(
      (launched) => track(launched, signal, release),
      (error: unknown) => {
        release();
        throw error;
      },
    );
    starts.add(starting);
    const started = (): boolean => starts.delete(starting);
    starting.then(started, started);
    const command = await withinGrace(starting, signal);
    if (signal.aborted) {
      await command.abort(signal.reason);
      throw signal.reason;
    }
    return command;
  };

  const sftp = async (signal: AbortSignal): Promise<RemoteFiles> => {
    if (become) {
      throw new AppError(
        'NOT_SUPPORTED',
        `SFTP on ${label} does not know sudo: log in as the user who may read.`,
      );
    }
    const release = await commands.acquire(signal);
    try {
      if (closing) throw closedError(label);
      const how = { label, lost: () => lost, patienceMs: CHANNEL_PATIENCE_MS };
      const { channel } = await openChannel(client, { subsystem: 'sftp' }, how);
      const ended = (): AppError =>
        lost ?? new AppError('CONNECTION_LOST', `SFTP on ${label} ended.`, { retryable: true });
      return await createSftpClient(channel, { signal, lost: ended, onClosed: release });
    } catch (error) {
      release();
      throw error;
    }
  };

  const close = async (): Promise<void> => {
    const grace = sleep(START_GRACE_MS, undefined, { ref: false });
    await Promise.race([Promise.allSettled(starts), grace]);
    await Promise.all([...running].map((command) => command.abort(closedError(label))));
    lost ??= closedError(label);
    await endClient(client);
  };
  return {
    exec,
    sftp,
    dial: createDialer({ client, label, lost: () => lost ?? (closing ? closedError(label) : null), exec }),
    lose,
    close() {
      closing ??= lost ? Promise.resolve() : close();
      return closing;
    },
  };
}

/** The command, or the signal's reason when it has not started within a grace after the abort. */
async function withinGrace(starting: Promise<TrackedProcess>, signal: AbortSignal): Promise<TrackedProcess> {
  const grace = createDeferred<never>();
  let timer: NodeJS.Timeout | undefined;
  const onAbort = (): void => {
    timer = setTimeout(() => grace.reject(signal.reason), START_GRACE_MS);
  };
  signal.addEventListener('abort', onAbort, { once: true });
  if (signal.aborted) onAbort();
  try {
    return await Promise.race([starting, grace.promise]);
  } finally {
    signal.removeEventListener('abort', onAbort);
    clearTimeout(timer);
    // When the grace ended first, the command is ended as soon as it appears (its signal is aborted already).
    starting.catch(() => undefined);
  }
}

function closedError(label: string): AppError {
  return new AppError('CONNECTION_LOST', `The session on ${label} was closed.`, { retryable: true });
}
