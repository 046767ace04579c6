import type { Duplex } from 'node:stream';
import type { JumpTarget, SshTarget } from '@tarfleet/contracts';
import { AppError, type Logger } from '@tarfleet/kernel';
import type { Client } from 'ssh2';
import { createSession } from '../create-session.ts';
import type { ConnectRequest, Session } from '../types.ts';
import { connectError } from './errors.ts';
import type { Become } from './launch-script.ts';
import { openClient } from './open-client.ts';
import { createSshSession } from './ssh-session.ts';

export interface SshSettings {
  logger: Logger;
  connectTimeoutMs: number;
  keepaliveMs: number;
}

/** A session on an ssh server, through its jump host where it has one, with root's rights where it says so. */
export async function connectSsh(
  target: SshTarget,
  request: Omit<ConnectRequest, 'target'>,
  settings: SshSettings,
): Promise<Session> {
  const { openSecrets, signal, pinning = 'required' } = request;
  const common = { openSecrets, signal, pinning, ...settings };
  const { jump } = target;
  // A jump host is pinned like any other server: only the target itself may be seen for the first time.
  const jumped = jump
    ? await openClient({
        ...common,
        target: jump,
        label: `the jump host ${labelOf(jump)}`,
        pinning: 'required',
      })
    : null;
  const label = jump ? `${labelOf(target)} through ${jump.name}` : labelOf(target);
  try {
    const { client, fingerprint, secrets } = await openClient({
      ...common,
      target,
      label,
      ...(jumped ? { tunnel: () => openTunnel(jumped.client, target, label) } : {}),
    });
    const become: Become = target.become === 'sudo' ? { password: secrets.becomePassword ?? null } : null;
    const ssh = createSshSession({ client, label, become, logger: settings.logger });
    jumped?.client.once('close', () => ssh.lose(null));
    const close = async (): Promise<void> => {
      await ssh.close();
      jumped?.client.end();
    };
    const session = createSession({ exec: ssh.exec, close }, fingerprint);
    if (become) await checkBecome(session, label, signal, fingerprint);
    return session;
  } catch (error) {
    jumped?.client.end();
    throw error;
  }
}

function labelOf(target: SshTarget | JumpTarget): string {
  return `${target.name} (${target.host}:${target.port})`;
}

/** A connection from the jump host to the target's port. */
function openTunnel(client: Client, target: SshTarget, label: string): Promise<Duplex> {
  return new Promise((resolve, reject) => {
    const refused = (error: Error): void =>
      reject(
        connectError(new Error(`the jump host could not reach it (${error.message})`), {
          label,
          username: target.username,
          fingerprint: null,
        }),
      );
    try {
      client.forwardOut('127.0.0.1', 0, target.host, target.port, (error, channel) =>
        error ? refused(error) : resolve(channel),
      );
    } catch (error) {
      // ssh2 throws when the jump host's connection is gone already.
      refused(error as Error);
    }
  });
}

/** Fails early, and with the session closed, when sudo does not give root's rights. */
async function checkBecome(
  session: Session,
  label: string,
  signal: AbortSignal,
  fingerprint: string,
): Promise<void> {
  try {
    const result = await session.run(['id', '-u'], { signal });
    const uid = result.stdout.toString('latin1').trim();
    if (uid !== '0') {
      throw new AppError('BECOME_FAILED', `sudo on ${label} gives user id ${uid || 'unknown'}, not root's.`);
    }
  } catch (error) {
    await session.close();
    if (!(error instanceof AppError)) throw error;
    const { code, message, retryable, cause } = error;
    throw new AppError(code, message, { retryable, cause, details: { fingerprint } });
  }
}
