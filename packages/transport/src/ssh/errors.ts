/** The one place where what ssh2 and sockets report becomes an AppError. */
import type { JumpTarget, SshTarget } from '@tarfleet/contracts';
import { AppError, errnoOf } from '@tarfleet/kernel';

export interface HostFacts {
  /** For messages: `name (host:port)`. */
  label: string;
  username: string;
  /** The key it showed, once it has. */
  fingerprint: string | null;
}

const NETWORK: Record<string, string> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ETIMEDOUT: 'no answer came in time',
  EHOSTUNREACH: 'there is no route to the host',
  ENETUNREACH: 'there is no route to its network',
  ENOTFOUND: 'its name is unknown to DNS',
  EAI_AGAIN: 'DNS did not answer',
  ECONNRESET: 'it closed the connection',
  EPIPE: 'it closed the connection',
};

/** Why a connection could not be made. */
export function connectError(error: unknown, host: HostFacts): AppError {
  const details = { fingerprint: host.fingerprint };
  if (error instanceof AppError) return error;
  const level = (error as { level?: unknown }).level;
  if (level === 'client-authentication') {
    return new AppError(
      'SERVER_AUTH_FAILED',
      `${host.label} refused to let ${host.username} in: check the user name, its key or password, and which ways of logging in the server allows.`,
      { details },
    );
  }
  const code = errnoOf(error);
  const known = code === undefined ? undefined : NETWORK[code];
  const text = known ?? (level === 'client-timeout' ? 'no answer came in time' : reason(error));
  return new AppError(
    'SERVER_UNREACHABLE',
    `Cannot connect to ${host.label}: ${text}. Check the address, that sshd runs, and the firewalls between.`,
    { retryable: true, details, cause: error },
  );
}

/** Why a connection that stood is gone. */
export function lostError(label: string, cause: unknown): AppError {
  const code = errnoOf(cause);
  const level = (cause as { level?: unknown } | null)?.level;
  const text =
    level === 'client-timeout' ? 'it stopped answering' : ((code && NETWORK[code]) ?? 'it was cut');
  return new AppError('CONNECTION_LOST', `The connection to ${label} was lost: ${text}.`, {
    retryable: true,
    ...(cause instanceof Error ? { cause } : {}),
  });
}

function reason(error: unknown): string {
  const text = error instanceof Error ? error.message : String(error);
  return text.replace(/\.$/, '').slice(0, 200);
}

/** How messages call a host. */
export function labelOf(target: SshTarget | JumpTarget): string {
  return `${target.name} (${target.host}:${target.port})`;
}

/** The same error with other facts for the client. */
export function withDetails(error: AppError, details: object): AppError {
  const { code, message, retryable, cause } = error;
  return new AppError(code, message, { retryable, cause, details });
}
