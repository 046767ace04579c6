import { createHash } from 'node:crypto';
import { isIP } from 'node:net';
import { type ConnectionOptions, type PeerCertificate, TLSSocket } from 'node:tls';
import type { DestinationSecrets, FtpDestinationConfig } from '@tarfleet/contracts';
import { AppError } from '@tarfleet/kernel';
import { Client } from 'basic-ftp';
import { type FtpPlace, translateFtp } from './ftp-faults.ts';

export interface FtpTimeouts {
  /** Without a sign of life of the server, in milliseconds. */
  idleMs: number;
}

export const DEFAULT_FTP_TIMEOUTS: FtpTimeouts = { idleMs: 60_000 };
/** A folder whose listing is longer is an error: the library takes it whole. */
const LONGEST_LISTING = 32 * 1024 * 1024;

/** A connection that is logged in, its server known by its certificate before a password is sent. */
export async function connectFtp(
  config: FtpDestinationConfig,
  secrets: DestinationSecrets,
  place: FtpPlace,
  { idleMs }: FtpTimeouts,
  signal: AbortSignal,
): Promise<Client> {
  const { username, tls } = config;
  const { password } = secrets;
  if (!password) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `There is no password for ${place.server}. Enter its credentials.`,
    );
  }
  // Sessions are resumed on data connections, and with a session what was thought of its certificate: so one that is
  // pinned is fetched before, and trusted from the beginning of the connection that is used.
  const options = await tlsOptions(config, place, idleMs, signal);
  return connected(config, place, idleMs, options, signal, async (client) => {
    await client.login(bytes(username), bytes(password));
    await client.useDefaultSettings();
    // Or archives would travel in the open behind a login that did not.
    if (tls !== 'none') await client.send('PROT P');
    return client;
  });
}

/** Runs `action` on a new connection, with TLS where it is wanted; closes it on failure. */
async function connected<T>(
  { host, port, tls }: FtpDestinationConfig,
  place: FtpPlace,
  idleMs: number,
  options: ConnectionOptions,
  signal: AbortSignal,
  action: (client: Client) => Promise<T>,
): Promise<T> {
  const client = new Client(idleMs, { allowSeparateTransferHost: false, maxListingBytes: LONGEST_LISTING });
  // Names are bytes: others may have used any.
  client.ftp.encoding = 'latin1';
  const onAbort = (): void => client.close();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    if (tls === 'implicit') {
      await client.connectImplicitTLS(host, port, options);
    } else {
      await client.connect(host, port);
      if (tls === 'explicit') await client.useTLS(options);
    }
    if (tls !== 'none' && !(client.ftp.socket instanceof TLSSocket)) {
      throw new AppError('DESTINATION_UNREACHABLE', `The FTP server of ${place.server} did not begin TLS.`);
    }
    return await action(client);
  } catch (error) {
    client.close();
    signal.throwIfAborted();
    throw translateFtp(error, place, false);
  } finally {
    signal.removeEventListener('abort', onAbort);
  }
}

/** UTF-8, one character for each byte, as the connection takes it. */
export function bytes(text: string): string {
  return Buffer.from(text).toString('latin1');
}

async function tlsOptions(
  config: FtpDestinationConfig,
  place: FtpPlace,
  idleMs: number,
  signal: AbortSignal,
): Promise<ConnectionOptions> {
  const { host, ca, certificate: pinned, tls } = config;
  const name = { host, ...(isIP(host) ? {} : { servername: host }) };
  if (pinned === undefined || tls === 'none') return { ...name, ...(ca === undefined ? {} : { ca }) };
  const look = { ...name, rejectUnauthorized: false };
  const raw = await connected(config, place, idleMs, look, signal, async (client) => {
    const seen = (client.ftp.socket as TLSSocket).getPeerCertificate().raw;
    client.close();
    return seen;
  });
  const seen = raw ? sha256(raw) : 'none';
  if (seen !== pinned) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `The FTP server of ${place.server} shows a certificate with the SHA-256 ${seen}, and ${pinned} is pinned. If it was renewed, compare the new one on the machine itself and store it; otherwise someone may be in between. No password was sent.`,
    );
  }
  const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  return {
    ...{ ...name, ca: pem, allowPartialTrustChain: true },
    checkServerIdentity: (_host: string, { raw: other }: PeerCertificate) =>
      sha256(other) === pinned ? undefined : new Error('another certificate than the pinned one'),
  };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
