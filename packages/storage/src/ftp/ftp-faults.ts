/** What FTP servers and basic-ftp report, as AppErrors. */
import { AppError, type AppErrorOptions, errnoOf } from '@tarfleet/kernel';
import { FTPError } from 'basic-ftp';

export interface FtpPlace {
  /** For messages: `user@host:port`. */
  server: string;
  /** The destination's folder. */
  root: string;
}

/** A certificate that does not fit will not fit later. */
const CERTIFICATE = /^(CERT_|ERR_TLS|ERR_SSL|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO)/;
/** Servers without a code of their own for it say it in words. */
const FULL = /no space|disk full|quota|failure writing/i;
const DENIED = /denied|not permitted|read-only|readonly/i;

/** The server's code (RFC 959, 4.2) behind an error; null when it was none of its answers. */
export function codeOf(error: unknown): number | null {
  return error instanceof FTPError ? error.code : null;
}

/** The file or folder is not there, or may not be touched: most servers use one code for all of it. */
export function isUnavailable(error: unknown): boolean {
  return codeOf(error) === 550 || codeOf(error) === 553;
}

export function saysDenied(error: unknown): boolean {
  return error instanceof FTPError && DENIED.test(error.message);
}

export function translateFtp(error: unknown, place: FtpPlace, writing: boolean): AppError {
  if (error instanceof AppError) return error;
  const where = `The folder ${place.root} of ${place.server}`;
  if (!(error instanceof FTPError)) return networkFault(error, place);
  const { code } = error;
  const said = error.message.slice(0, 200);
  const make = (
    to: ConstructorParameters<typeof AppError>[0],
    text: string,
    options: AppErrorOptions = {},
  ): AppError => new AppError(to, text, { ...options, cause: error });
  if (code === 452 || code === 552 || (writing && FULL.test(said))) {
    return make(
      'STORAGE_FULL',
      `${where} is full or over its quota (${said}). Free space there, or choose another destination.`,
    );
  }
  if ([430, 530, 532, 332, 331].includes(code)) {
    return make(
      'DESTINATION_AUTH_FAILED',
      `The FTP server refused ${place.server} (code ${code}): check the user name and the password, and whether it wants TLS.`,
    );
  }
  if (isUnavailable(error)) {
    return writing
      ? make('DESTINATION_READ_ONLY', `${where} cannot be written (${said}). Give it to that user, writable.`)
      : make('DESTINATION_AUTH_FAILED', `${where} cannot be read (${said}). Give it to that user.`);
  }
  if ([421, 425, 426, 434].includes(code)) {
    return make('DESTINATION_UNREACHABLE', `The FTP server of ${place.server} broke off (${said}).`, {
      retryable: true,
    });
  }
  return make('STORAGE_FAILED', `${where} failed (${said}).`, { retryable: code >= 400 && code < 500 });
}

function networkFault(error: unknown, { server }: FtpPlace): AppError {
  const errno = errnoOf(error);
  const cause = error instanceof Error ? { cause: error } : {};
  if (errno !== undefined && CERTIFICATE.test(errno)) {
    return new AppError(
      'DESTINATION_UNREACHABLE',
      `The FTP server of ${server} shows a certificate that is not trusted here, or speaks no TLS there (${errno}). Give its signer as ca, or pin the certificate. No password was sent.`,
      cause,
    );
  }
  return new AppError(
    'DESTINATION_UNREACHABLE',
    `The FTP server of ${server} cannot be reached, cut the connection or stopped answering${errno === undefined || errno === '0' ? '' : ` (${errno})`}. Is the address right, and the server up?`,
    { ...cause, retryable: true },
  );
}

export function rootMissing({ server, root }: FtpPlace): AppError {
  return new AppError(
    'DESTINATION_NOT_FOUND',
    `The folder ${root} of ${server} does not exist, or may not be entered. Is its disk mounted there?`,
  );
}
