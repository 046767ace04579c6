import { setTimeout as sleep } from 'node:timers/promises';
import { AppError } from '@tarfleet/kernel';
import type { Client, ClientChannel } from 'ssh2';
import type { Exit } from '../types.ts';

export interface OpenedChannel {
  channel: ClientChannel;
  /** How far it has ended, kept from the start: a short command may be over before anybody listens. */
  ended: { exit: Exit | null; closed: boolean };
}

export interface ChannelOptions {
  label: string;
  /** The error of a broken connection, once it is broken. */
  lost: () => AppError | null;
  /** How long a server that refuses one more channel is asked again. */
  patienceMs: number;
}

/**
 * Starts a command, or a subsystem, on a channel of its own. A refused channel (sshd's MaxSessions may be lower than thought,
 * and other commands hold it) is asked for again. Errors: CONNECTION_LOST, COMMAND_FAILED (retryable when the
 * server had no room).
 */
export async function openChannel(
  client: Client,
  what: { line: string } | { subsystem: string },
  options: ChannelOptions,
): Promise<OpenedChannel> {
  const deadline = Date.now() + options.patienceMs;
  for (let pause = 20; ; pause = Math.min(500, pause * 2)) {
    const result = await tryOpen(client, what);
    if (!(result instanceof Error)) return result;
    const lost = options.lost();
    if (lost) throw lost;
    if (!isRefusal(result)) {
      throw new AppError(
        'COMMAND_FAILED',
        `${options.label} refused to ${'line' in what ? 'run a command' : `start ${what.subsystem}`}: ${result.message}.`,
        {
          cause: result,
        },
      );
    }
    if (Date.now() > deadline) {
      throw new AppError(
        'COMMAND_FAILED',
        `${options.label} has no room for another session: raise MaxSessions in its sshd_config, or try again later.`,
        { retryable: true, cause: result },
      );
    }
    await sleep(pause);
    const meanwhile = options.lost();
    if (meanwhile) throw meanwhile;
  }
}

function tryOpen(
  client: Client,
  what: { line: string } | { subsystem: string },
): Promise<OpenedChannel | Error> {
  return new Promise((resolve) => {
    try {
      const opened = (error: Error | undefined, channel: ClientChannel): void => {
        if (error) {
          resolve(error);
          return;
        }
        const ended: OpenedChannel['ended'] = { exit: null, closed: false };
        channel.prependOnceListener('exit', (code: number | null, signal?: string) => {
          ended.exit = { code, signal: code === null ? (signal ?? null) : null };
        });
        channel.prependOnceListener('close', () => {
          ended.closed = true;
        });
        resolve({ channel, ended });
      };
      if ('line' in what) client.exec(what.line, opened);
      else client.subsys(what.subsystem, opened);
    } catch (error) {
      // ssh2 throws when the socket is gone already.
      resolve(error instanceof Error ? error : new Error(String(error)));
    }
  });
}

/** A channel that the server would not open, as opposed to a command that it would not run (RFC 4254, 5.1). */
function isRefusal(error: Error): boolean {
  return (error as { reason?: unknown }).reason !== undefined || /open failed|resource/i.test(error.message);
}
