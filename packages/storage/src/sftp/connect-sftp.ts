import { createHash } from 'node:crypto';
import { connect as connectTcp } from 'node:net';
import type { DestinationSecrets, SftpDestinationConfig } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import ssh2, { type CipherAlgorithm, type ConnectConfig, type ServerHostKeyAlgorithm } from 'ssh2';
import { connectFault, type SftpPlace } from './sftp-faults.ts';
import { createSftpSession, type SftpSession } from './sftp-session.ts';

export interface SftpTimeouts {
  /** To connect and log in, in milliseconds. */
  connectMs: number;
  /** Without a sign of life of the server, in milliseconds. */
  idleMs: number;
}

export const DEFAULT_SFTP_TIMEOUTS: SftpTimeouts = { connectMs: 20_000, idleMs: 60_000 };

/** A server shows the key that the client likes best; the pinned one may be of another kind. */
const KEY_KINDS: readonly ServerHostKeyAlgorithm[][] = [
  ['ssh-ed25519'],
  ['ecdsa-sha2-nistp256', 'ecdsa-sha2-nistp384', 'ecdsa-sha2-nistp521'],
  ['rsa-sha2-512', 'rsa-sha2-256'],
];
/** AES-GCM first: it runs in OpenSSL. */
const CIPHERS: CipherAlgorithm[] = [
  ...(['aes128-gcm@openssh.com', 'aes256-gcm@openssh.com', 'aes128-ctr', 'aes192-ctr'] as const),
  ...(['aes256-ctr', 'chacha20-poly1305@openssh.com'] as const),
];
/** Of so many signs of life in a row. */
const KEEPALIVES = 3;

/** Logs in to a server whose key is the pinned one; no secret is sent to any other. */
export async function connectSftp(
  config: SftpDestinationConfig,
  secrets: DestinationSecrets,
  place: SftpPlace,
  timeouts: SftpTimeouts,
  signal: AbortSignal,
): Promise<SftpSession> {
  const login = loginOf(secrets, place);
  let changed: AppError | null = null;
  for (const kind of [null, ...KEY_KINDS]) {
    try {
      return await attempt(config, login, place, timeouts, signal, kind);
    } catch (error) {
      signal.throwIfAborted();
      const fault = connectFault(error, place);
      if (changed === null && fault.code !== 'HOST_KEY_CHANGED') throw fault;
      // A server without a key of that kind ends the handshake: the first answer is the one to tell.
      if (fault.code !== 'HOST_KEY_CHANGED' && fault.code !== 'DESTINATION_UNREACHABLE') throw fault;
      changed ??= fault;
    }
  }
  throw changed;
}

function attempt(
  config: SftpDestinationConfig,
  login: Partial<ConnectConfig>,
  place: SftpPlace,
  timeouts: SftpTimeouts,
  signal: AbortSignal,
  kind: ServerHostKeyAlgorithm[] | null,
): Promise<SftpSession> {
  const sock = connectTcp({ host: config.host, port: config.port, noDelay: true });
  const client = new ssh2.Client();
  return new Promise<SftpSession>((resolve, reject) => {
    let fault: AppError | null = null;
    const fail = (error: unknown): void => {
      signal.removeEventListener('abort', onAbort);
      client.destroy();
      sock.destroy();
      reject(fault ?? error);
    };
    const onAbort = (): void => fail(signal.reason);
    signal.addEventListener('abort', onAbort, { once: true });
    // Errors after the first are echoes of it; without a listener they would end the process.
    client.on('error', fail);
    client.once('close', () => fail(new Error('closed')));
    client.once('ready', () =>
      client.sftp((error, sftp) => {
        if (error) {
          fault = new AppError(
            'DESTINATION_AUTH_FAILED',
            `The SSH server let ${place.server} in, but gives that user no SFTP.`,
          );
          return fail(error);
        }
        signal.removeEventListener('abort', onAbort);
        resolve(createSftpSession(client, sftp, place));
      }),
    );
    client.connect({
      ...login,
      sock,
      username: config.username,
      readyTimeout: timeouts.connectMs,
      keepaliveInterval: Math.ceil(timeouts.idleMs / KEEPALIVES),
      keepaliveCountMax: KEEPALIVES,
      algorithms: { cipher: CIPHERS, ...(kind ? { serverHostKey: kind } : {}) },
      hostVerifier: (key: Buffer) => {
        const seen = `SHA256:${createHash('sha256').update(key).digest('base64').replace(/=+$/, '')}`;
        if (seen === config.hostKey) return true;
        fault = new AppError(
          'HOST_KEY_CHANGED',
          `The SFTP server of ${place.server} shows the host key ${seen}, and ${config.hostKey} is pinned. If it was reinstalled, compare the new fingerprint on the machine itself and store it with the destination; otherwise someone may be in between. No credentials were sent.`,
        );
        return false;
      },
    });
  });
}

function loginOf(
  { password, privateKey, passphrase }: DestinationSecrets,
  { server }: SftpPlace,
): Partial<ConnectConfig> {
  if (privateKey === undefined) {
    if (!password) {
      throw new AppError(
        'DESTINATION_AUTH_FAILED',
        `There is no password or key for ${server}. Enter its credentials.`,
      );
    }
    return { password };
  }
  const parsed = ssh2.utils.parseKey(privateKey, passphrase);
  const key = Array.isArray(parsed) ? parsed[0] : parsed;
  // The library's own text is not passed on: it quotes what it could not read.
  if (!key || key instanceof Error || !key.isPrivateKey()) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `The private key for ${server} cannot be read: it is no key in OpenSSH or PEM (PKCS#1) form, or its passphrase is wrong or missing. Nothing was sent.`,
    );
  }
  return { privateKey, ...(passphrase === undefined ? {} : { passphrase }) };
}
