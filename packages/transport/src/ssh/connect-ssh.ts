import type { SshTarget } from '@tarfleet/contracts';
import { AppError, type Logger, timeLimit } from '@tarfleet/kernel';
import { createSession } from '../create-session.ts';
import type { ConnectRequest, Session } from '../types.ts';
import { endClient } from './end-client.ts';
import { labelOf, withDetails } from './errors.ts';
import { openJump, openTunnel } from './jump.ts';
import { type OpenClient, type OpenOptions, openClient } from './open-client.ts';
import { createSshSession } from './ssh-session.ts';

export interface SshSettings {
  logger: Logger;
  connectTimeoutMs: number;
  keepaliveMs: number;
}

/** A connection made only to end a command. */
const REOPEN_MS = 5000;

/** A session on an ssh server, through its jump host where it has one, with root's rights where it says so. */
export async function connectSsh(
  target: SshTarget,
  request: Omit<ConnectRequest, 'target'>,
  settings: SshSettings,
): Promise<Session> {
  const { openSecrets, signal, pinning = 'required' } = request;
  const { jump } = target;
  const label = jump ? `${labelOf(target)} through ${jump.name}` : labelOf(target);
  // sudo reads one line; what follows would reach the command as its input.
  const openOwn: ConnectRequest['openSecrets'] = async (own) => {
    const secrets = await openSecrets(own);
    if (!/[\r\n\0]/.test(secrets.becomePassword ?? '')) return secrets;
    throw new AppError('BECOME_FAILED', `The sudo password stored for ${label} holds a line break.`);
  };
  const gate = jump ? await openJump(jump, request, settings) : null;
  const open = (how: Pick<OpenOptions, 'signal' | 'pinning' | 'target'>): Promise<OpenClient> =>
    openClient({
      ...settings,
      ...how,
      label,
      openSecrets: openOwn,
      ...(gate
        ? { tunnel: () => openTunnel(gate, target, label, how.signal, settings.connectTimeoutMs) }
        : {}),
    });
  try {
    const { client, fingerprint, secrets } = await open({ target, signal, pinning });
    const ssh = createSshSession({
      client,
      label,
      username: target.username,
      become: target.become === null ? null : { password: secrets.becomePassword ?? null },
      logger: settings.logger,
      reopen: async () => {
        const pinned = { ...target, hostKey: fingerprint };
        return (await open({ target: pinned, signal: timeLimit(REOPEN_MS), pinning: 'required' })).client;
      },
    });
    let gateLost = false;
    gate?.once('close', () => {
      gateLost = true;
      ssh.lose(null);
    });
    const close = async (): Promise<void> => {
      await ssh.close();
      if (gate && !gateLost) await endClient(gate);
    };
    const session = createSession({ exec: ssh.exec, sftp: ssh.sftp, dial: ssh.dial, close }, fingerprint);
    if (target.become) await checkBecome(session, label, signal, fingerprint);
    return session;
  } catch (error) {
    gate?.end();
    throw error;
  }
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
    throw withDetails(error, { fingerprint });
  }
}
