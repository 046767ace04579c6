/** The way to a server that only a jump host can reach. */
import type { Duplex } from 'node:stream';
import type { JumpTarget, SshTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import type { Client } from 'ssh2';
import type { ConnectRequest } from '../types.ts';
import { connectError, labelOf, withDetails } from './errors.ts';
import { type OpenOptions, openClient } from './open-client.ts';

/** A jump host is pinned like any other server: only the target itself may be seen for the first time. */
export async function openJump(
  jump: JumpTarget,
  { openSecrets, signal }: Omit<ConnectRequest, 'target'>,
  settings: Pick<OpenOptions, 'connectTimeoutMs' | 'keepaliveMs'>,
): Promise<Client> {
  try {
    const label = `the jump host ${labelOf(jump)}`;
    return (await openClient({ ...settings, target: jump, label, openSecrets, signal, pinning: 'required' }))
      .client;
  } catch (error) {
    // `fingerprint` is the target's: nobody must take the jump host's key for it.
    if (!(error instanceof AppError)) throw error;
    const { fingerprint } = (error.details ?? {}) as { fingerprint?: string | null };
    throw withDetails(error, { fingerprint: null, jumpFingerprint: fingerprint ?? null });
  }
}

/** A connection from the jump host to the target's port. */
export function openTunnel(
  gate: Client,
  target: SshTarget,
  label: string,
  signal: AbortSignal,
  timeoutMs: number,
): Promise<Duplex> {
  const host = { label, username: target.username, fingerprint: null };
  return new Promise((resolve, reject) => {
    const refused = (why: string): void => {
      stop();
      reject(connectError(new Error(`the jump host could not reach it (${why})`), host));
    };
    const onAbort = (): void => {
      stop();
      reject(signal.reason);
    };
    const timer = setTimeout(() => refused('no answer came in time'), timeoutMs);
    let stopped = false;
    const stop = (): void => {
      stopped = true;
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      gate.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) => {
        // Nobody waits for it any more.
        if (stopped) return void channel?.close();
        if (error) return refused(error.message);
        stop();
        resolve(channel);
      });
    } catch (error) {
      // ssh2 throws when the jump host's connection is gone already.
      refused((error as Error).message);
    }
  });
}
