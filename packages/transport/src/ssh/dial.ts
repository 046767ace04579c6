/** A connection that the server itself makes, seen from here as a stream. */
import type { Duplex } from 'node:stream';
import type { AppError } from '@tarfleet/kernel';
import type { Client } from 'ssh2';
import type { Argv } from '../shell-command.ts';
import type { Address, ExecOptions, RemoteProcess } from '../types.ts';
import { unreachable } from '../unreachable.ts';
import { channelStream } from './channel-stream.ts';
import { dialByCommand } from './dial-by-command.ts';

export interface DialOptions {
  client: Client;
  label: string;
  /** The error of a broken connection, once it is broken. */
  lost: () => AppError | null;
  exec: (argv: Argv, options: ExecOptions) => Promise<RemoteProcess>;
}

/** RFC 4254, 5.1. */
const PROHIBITED = 1;

/**
 * Gives a function that has sshd connect to a port (`direct-tcpip`, RFC 4254, 7.2): it needs no program on the server
 * and no place among its sessions. Many servers forbid it (`AllowTcpForwarding no`); there, and from then on, a
 * command passes the bytes on.
 */
export function createDialer(options: DialOptions): (to: Address, signal: AbortSignal) => Promise<Duplex> {
  let prohibited = false;
  return async (to, signal) => {
    signal.throwIfAborted();
    if (!prohibited) {
      const channel = await forward(options, to, signal);
      if (channel) return channel;
      prohibited = true;
    }
    return dialByCommand(options, to, signal);
  };
}

/** Null where the server does not allow it. */
function forward({ client, lost }: DialOptions, to: Address, signal: AbortSignal): Promise<Duplex | null> {
  return new Promise((resolve, reject) => {
    let over = false;
    const settle = (finish: () => void): void => {
      if (over) return;
      over = true;
      signal.removeEventListener('abort', onAbort);
      client.off('close', onClose);
      finish();
    };
    const onAbort = (): void => settle(() => reject(signal.reason));
    const onClose = (): void => settle(() => reject(lost() ?? unreachable(to, 'the connection was closed')));
    const onError = (error: Error): void =>
      settle(() => {
        const gone = lost();
        if (gone) reject(gone);
        else if ((error as { reason?: unknown }).reason === PROHIBITED) resolve(null);
        else reject(unreachable(to, error.message, error));
      });
    const gone = lost();
    if (gone) return reject(gone);
    signal.addEventListener('abort', onAbort, { once: true });
    client.once('close', onClose);
    try {
      client.forwardOut('127.0.0.1', 0, to.host, to.port, (error, channel) => {
        if (error) return onError(error);
        // Nobody waits for it any more.
        if (over) return void channel.close();
        settle(() => resolve(channelStream(channel, client, lost)));
      });
    } catch (error) {
      // ssh2 throws when the socket is gone already.
      onError(error as Error);
    }
  });
}
