import { connect as connectTcp } from 'node:net';
import type { Duplex } from 'node:stream';
import type { JumpTarget, ServerSecrets, ServerTarget, SshTarget } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import ssh2, { type AnyAuthMethod, type CipherAlgorithm, type ServerHostKeyAlgorithm } from 'ssh2';
import { authMethods } from './auth.ts';
import { connectError } from './errors.ts';
import { fingerprintOf, hostKeyFault, KEY_FAMILIES } from './host-key.ts';

export interface OpenOptions {
  target: SshTarget | JumpTarget;
  label: string;
  openSecrets: (target: ServerTarget) => Promise<ServerSecrets>;
  pinning: 'required' | 'first-sight';
  signal: AbortSignal;
  connectTimeoutMs: number;
  keepaliveMs: number;
  /** A way to the host's port, where not straight: called once per try. */
  tunnel?: () => Promise<Duplex>;
}

export interface OpenClient {
  client: ssh2.Client;
  fingerprint: string;
  secrets: ServerSecrets;
}

/** AES-GCM runs in OpenSSL; ssh2's chacha20 is several times slower in Node. */
const CIPHERS: CipherAlgorithm[] = [
  'aes128-gcm@openssh.com',
  'aes256-gcm@openssh.com',
  'aes128-ctr',
  'aes192-ctr',
  'aes256-ctr',
  'chacha20-poly1305@openssh.com',
];

/**
 * One logged-in connection to one host. The host's key is checked first; secrets are opened only after that.
 * Every error carries the key it showed in `details.fingerprint`, where it came that far.
 */
export async function openClient(options: OpenOptions): Promise<OpenClient> {
  try {
    return await attempt(options, null);
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'HOST_KEY_CHANGED') throw error;
    for (const family of KEY_FAMILIES) {
      const other = await attempt(options, family).catch((fault: unknown) => {
        const tellsNothing =
          fault instanceof AppError &&
          (fault.code === 'HOST_KEY_CHANGED' || fault.code === 'SERVER_UNREACHABLE');
        if (!tellsNothing) throw fault;
        return null;
      });
      if (other) return other;
    }
    throw error;
  }
}

async function attempt(options: OpenOptions, family: ServerHostKeyAlgorithm[] | null): Promise<OpenClient> {
  const { target, label, signal } = options;
  signal.throwIfAborted();
  const sock = options.tunnel
    ? await options.tunnel()
    : connectTcp({ host: target.host, port: target.port, noDelay: true });
  const client = new ssh2.Client();
  let fingerprint: string | null = null;
  let secrets: ServerSecrets | null = null;
  let fault: AppError | null = null;

  return new Promise<OpenClient>((resolve, reject) => {
    const finish = (settle: () => void): void => {
      signal.removeEventListener('abort', onAbort);
      client.off('ready', onReady);
      client.off('close', onClose);
      settle();
    };
    const fail = (error: unknown): void =>
      finish(() => {
        client.end();
        sock.destroy();
        reject(
          signal.aborted
            ? signal.reason
            : connectError(fault ?? error, { label, username: target.username, fingerprint }),
        );
      });
    const onAbort = (): void => fail(signal.reason);
    const onClose = (): void => fail(new Error('the connection was closed during the handshake'));
    const onReady = (): void =>
      finish(() => {
        client.off('error', fail);
        if (fingerprint !== null && secrets !== null) resolve({ client, fingerprint, secrets });
        else reject(new AppError('INTERNAL', `${label} let us in without showing a host key.`));
      });
    signal.addEventListener('abort', onAbort, { once: true });
    client.on('ready', onReady);
    client.on('close', onClose);
    // Errors after the first are echoes of it; without a listener they would end the process.
    client.on('error', () => undefined);
    client.once('error', fail);

    let methods: AnyAuthMethod[] | null = null;
    client.connect({
      sock,
      username: target.username,
      readyTimeout: options.connectTimeoutMs,
      keepaliveInterval: options.keepaliveMs,
      keepaliveCountMax: 3,
      algorithms: { cipher: CIPHERS, ...(family ? { serverHostKey: family } : {}) },
      hostVerifier: (key: Buffer) => {
        fingerprint = fingerprintOf(key);
        fault = hostKeyFault(label, target.hostKey, fingerprint, options.pinning);
        return fault === null;
      },
      authHandler: (_left, _partial, next) => {
        const tryNext = (): void => {
          const method = methods?.shift();
          // ssh2 takes `false` as "no more"; its types do not know that.
          next(method ?? (false as unknown as AnyAuthMethod));
        };
        if (methods) return tryNext();
        openMethods(options, label).then(
          (opened) => {
            secrets = opened.secrets;
            methods = opened.methods;
            tryNext();
          },
          (error: unknown) => {
            fault = withFingerprint(error, fingerprint);
            fail(fault);
          },
        );
      },
    });
  });
}

async function openMethods(
  { openSecrets, target }: OpenOptions,
  label: string,
): Promise<{ secrets: ServerSecrets; methods: AnyAuthMethod[] }> {
  const secrets = await openSecrets('jump' in target ? target : { ...target, jump: null });
  return { secrets, methods: authMethods(target.username, secrets, label) };
}

function withFingerprint(error: unknown, fingerprint: string | null): AppError {
  if (!(error instanceof AppError)) {
    return new AppError('INTERNAL', 'The stored credentials could not be opened.', { cause: error });
  }
  const { code, message, retryable, cause } = error;
  return new AppError(code, message, { retryable, details: { fingerprint }, cause });
}
