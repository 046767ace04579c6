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
  const { host, port, username, tls } = config;
  if (!secrets.password) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `There is no password for ${place.server}. Enter its credentials.`,
    );
  }
  const client = new Client(idleMs, { allowSeparateTransferHost: false, maxListingBytes: LONGEST_LISTING });
  // Names are bytes: others may have used any.
  client.ftp.encoding = 'latin1';
  const onAbort = (): void => client.close();
  signal.addEventListener('abort', onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const options = tlsOptions(config);
    if (tls === 'implicit') {
      await client.connectImplicitTLS(host, port, options);
    } else {
      await client.connect(host, port);
      if (tls === 'explicit') await client.useTLS(options);
    }
    if (tls !== 'none') assertCertificate(client, config, place, options);
    await client.login(bytes(username), bytes(secrets.password));
    await client.useDefaultSettings();
    // Or archives would travel in the open behind a login that did not.
    if (tls !== 'none') await client.send('PROT P');
    return client;
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

function tlsOptions({ host, ca, certificate }: FtpDestinationConfig): ConnectionOptions {
  return {
    host,
    ...(isIP(host) ? {} : { servername: host }),
    ...(ca === undefined ? {} : { ca }),
    // A pinned certificate is compared here, on the control connection first; nobody need have signed it.
    rejectUnauthorized: certificate === undefined,
  };
}

/** Compares the pin, and has data connections accept that one certificate alone from then on. */
function assertCertificate(
  client: Client,
  { certificate: pinned }: FtpDestinationConfig,
  { server }: FtpPlace,
  options: ConnectionOptions,
): void {
  const { socket } = client.ftp;
  if (!(socket instanceof TLSSocket)) {
    throw new AppError('DESTINATION_UNREACHABLE', `The FTP server of ${server} did not begin TLS.`);
  }
  if (pinned === undefined) return;
  const { raw } = socket.getPeerCertificate();
  const seen = raw ? sha256(raw) : 'none';
  if (seen !== pinned) {
    throw new AppError(
      'DESTINATION_AUTH_FAILED',
      `The FTP server of ${server} shows a certificate with the SHA-256 ${seen}, and ${pinned} is pinned. If it was renewed, compare the new one on the machine itself and store it; otherwise someone may be in between. No password was sent.`,
    );
  }
  const pem = `-----BEGIN CERTIFICATE-----\n${raw.toString('base64').replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`;
  client.ftp.tlsOptions = {
    ...options,
    ...{ ca: pem, allowPartialTrustChain: true, rejectUnauthorized: true },
    checkServerIdentity: (_host: string, { raw: other }: PeerCertificate) =>
      sha256(other) === pinned ? undefined : new Error('another certificate on a data connection'),
  };
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex');
}
