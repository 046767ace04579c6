/** What SFTP servers and ssh2 report, as AppErrors. */
import { AppError, errnoOf } from '@tarfleet/kernel';

/** Status codes of SFTP version 3 (draft-ietf-secsh-filexfer-02, section 7). Version 3 has no word for a full disk. */
export const STATUS = { endOfFile: 1, noSuchFile: 2, denied: 3, failure: 4, unsupported: 8 } as const;

/** An answer of the server that is not what was hoped for; the driver says what it means. */
export class SftpStatus extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

export function statusOf(error: unknown): number | null {
  return error instanceof SftpStatus ? error.status : null;
}

export interface SftpPlace {
  /** For messages: `user@host:port`. */
  server: string;
  /** The destination's folder. */
  root: string;
}

/** Why a connection could not be made. No secret is in ssh2's errors, but parts of keys may be: only known texts pass. */
export function connectFault(error: unknown, { server }: SftpPlace): AppError {
  if (error instanceof AppError) return error;
  const level = (error as { level?: unknown } | null)?.level;
  if (level === 'client-authentication') {
    return new AppError(
      'DESTINATION_AUTH_FAILED',
      `The SFTP server refused ${server}: check the user name, its key or password, and which ways of logging in it allows.`,
    );
  }
  const what =
    errnoOf(error) ?? (level === 'client-timeout' ? 'no answer came in time' : 'the handshake failed');
  return unreachable(server, `cannot be reached (${what}). Is the address right, and the server up?`, error);
}

export function lostFault({ server }: SftpPlace): AppError {
  return unreachable(server, 'cut the connection, or stopped answering.');
}

function unreachable(server: string, what: string, cause?: unknown): AppError {
  const options = { retryable: true, ...(cause instanceof Error ? { cause } : {}) };
  return new AppError('DESTINATION_UNREACHABLE', `The SFTP server of ${server} ${what}`, options);
}

/** What the server told of the file system, where it could. */
export interface SpaceFacts {
  full: boolean;
  readOnly: boolean;
}

/** A status that nothing else explained. Errors that are none stay as they are. */
export function translateStatus(
  error: unknown,
  { server, root }: SftpPlace,
  writing: boolean,
  space: SpaceFacts | null,
): unknown {
  if (!(error instanceof SftpStatus)) return error;
  const where = `The folder ${root} of ${server}`;
  const cause = { cause: error };
  if (writing && space?.full) {
    return new AppError(
      'STORAGE_FULL',
      `${where} is full. Free space there, or choose another destination.`,
      cause,
    );
  }
  if (error.status === STATUS.denied || (writing && space?.readOnly)) {
    return writing
      ? new AppError(
          'DESTINATION_READ_ONLY',
          `${where} cannot be written. Give it to that user, writable.`,
          cause,
        )
      : new AppError('DESTINATION_AUTH_FAILED', `${where} cannot be read. Give it to that user.`, cause);
  }
  return new AppError('STORAGE_FAILED', `${where} failed: the server answered "${error.message}".`, cause);
}

export function rootMissing({ server, root }: SftpPlace): AppError {
  return new AppError(
    'DESTINATION_NOT_FOUND',
    `The folder ${root} of ${server} does not exist, or is no folder. Is its disk mounted there?`,
  );
}
