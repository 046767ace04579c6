import { connect } from 'node:net';
import type { Duplex } from 'node:stream';
import type { Address } from '../types.ts';
import { unreachable } from '../unreachable.ts';

/** A TCP connection from this machine. */
export function dialLocal({ host, port }: Address, signal: AbortSignal): Promise<Duplex> {
  signal.throwIfAborted();
  return new Promise((resolve, reject) => {
    const socket = connect({ host, port });
    const settle = (finish: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      socket.off('error', onError);
      // Its owner hears of an error by the socket's own events; without a listener one would end the process.
      socket.on('error', () => undefined);
      finish();
    };
    const onAbort = (): void =>
      settle(() => {
        socket.destroy();
        reject(signal.reason);
      });
    const onError = (error: Error): void =>
      settle(() => reject(unreachable({ host, port }, error.message, error)));
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', onError);
    socket.once('connect', () => settle(() => resolve(socket)));
  });
}
