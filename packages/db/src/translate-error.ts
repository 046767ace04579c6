import { AppError, errnoOf } from '@tarfleet/kernel';
import { inUseMessage, missingMessage, takenMessage } from './constraint-messages.ts';
import { Prisma } from './generated/client.ts';

/** What is known of a failed query. */
interface Fault {
  /** Prisma's own code, `P2002`. */
  prisma: string | null;
  /** The adapter's word for it, `DatabaseNotReachable`. */
  kind: string | null;
  /** The server's, `23505`. */
  sqlState: string | null;
  message: string;
  constraint: string | null;
}

/** Servers that go, come, or have no room; transactions that were undone because of another. */
const UNAVAILABLE_STATES = /^(08...|57P0[1-5]|53300|55P03|25006|25P03|40001|40P01|28000|28P01|3D000)$/;
const UNAVAILABLE_KINDS = new Set([
  'DatabaseNotReachable',
  'ConnectionClosed',
  'SocketTimeout',
  'TooManyConnections',
  'TlsConnectionError',
  'TransactionWriteConflict',
]);
/** P2024 and P2028: no connection was free in time, or a transaction took too long. */
const UNAVAILABLE_CODES = new Set([
  'P1000',
  'P1001',
  'P1002',
  'P1008',
  'P1011',
  'P1017',
  'P2024',
  'P2028',
  'P2034',
]);
/** Text with a NUL, too long, out of range, of the wrong form. */
const BAD_VALUE_STATES = new Set(['22001', '22003', '22021', '22P02', '22P05']);

/**
 * The one place where the errors of Prisma and pg become AppErrors: CONFLICT for a broken unique index or
 * reference, VALIDATION_FAILED for a value that no column can hold, UNAVAILABLE (retryable) for trouble with the
 * connection, INTERNAL for the rest. Those libraries' messages quote rows and arguments, password hashes and
 * sealed secrets among them, so none of them is passed on, not as a cause either: the cause has codes and names
 * alone. An error that is not theirs is returned as it is.
 */
export function translateError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  const fault = faultOf(error);
  if (!fault) return error;
  const cause = safeCause(fault);
  if (fault.sqlState === '23505' || fault.prisma === 'P2002') {
    return new AppError('CONFLICT', takenMessage(fault.constraint), { cause });
  }
  if (fault.sqlState === '23001' || (fault.sqlState === '23503' && /^update or delete/.test(fault.message))) {
    return new AppError('CONFLICT', inUseMessage(fault.constraint), { cause });
  }
  if (fault.sqlState === '23503' || fault.prisma === 'P2003') {
    return new AppError('CONFLICT', missingMessage(fault.constraint), { cause });
  }
  if (fault.sqlState && BAD_VALUE_STATES.has(fault.sqlState)) {
    return new AppError('VALIDATION_FAILED', 'A value is too long, too large, or holds a NUL character.', {
      cause,
    });
  }
  if (isUnavailable(fault)) {
    return new AppError('UNAVAILABLE', 'The database does not answer; try again in a moment.', {
      retryable: true,
      cause,
    });
  }
  return new AppError('INTERNAL', 'The database refused a query; the log of the API has its code.', {
    cause,
  });
}

/** True when a transaction was undone because of another and may simply be run again. */
export function isWriteConflict(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : undefined;
  return cause instanceof Error && /\b(P2034|40001|40P01)\b/.test(cause.message);
}

function isUnavailable(fault: Fault): boolean {
  return (
    (fault.kind !== null && UNAVAILABLE_KINDS.has(fault.kind)) ||
    (fault.sqlState !== null && UNAVAILABLE_STATES.test(fault.sqlState)) ||
    (fault.prisma !== null && UNAVAILABLE_CODES.has(fault.prisma))
  );
}

function faultOf(error: unknown): Fault | null {
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    return { ...driverFault(error.meta), prisma: error.code };
  }
  if (error instanceof Prisma.PrismaClientValidationError) return { ...NO_FAULT, prisma: 'validation' };
  if (error instanceof Prisma.PrismaClientInitializationError) {
    return { ...NO_FAULT, prisma: error.errorCode ?? 'P1001' };
  }
  if (error instanceof Prisma.PrismaClientUnknownRequestError) return { ...NO_FAULT, prisma: 'unknown' };
  if (error instanceof Prisma.PrismaClientRustPanicError) return { ...NO_FAULT, prisma: 'panic' };
  return connectionFault(error);
}

const NO_FAULT: Fault = { prisma: null, kind: null, sqlState: null, message: '', constraint: null };

/** What `@prisma/adapter-pg` tells of the server's answer. */
function driverFault(meta: Record<string, unknown> | undefined): Fault {
  const driver = meta?.driverAdapterError as { cause?: unknown } | undefined;
  const cause = driver?.cause as
    | {
        kind?: string;
        originalCode?: string;
        originalMessage?: string;
        constraint?: { index?: string; fields?: string[] };
      }
    | undefined;
  return {
    ...NO_FAULT,
    kind: cause?.kind ?? null,
    sqlState: cause?.originalCode ?? null,
    message: cause?.originalMessage ?? '',
    constraint: cause?.constraint?.index ?? null,
  };
}

/** Errors of pg itself, which the adapter lets through, and of the socket. Told by their form: jest runs tests in a realm whose `Error` is another. */
function connectionFault(error: unknown): Fault | null {
  for (let next = error, depth = 0; isErrorLike(next) && depth < 5; next = next.cause, depth += 1) {
    const code = errnoOf(next);
    if (code && typeof next.severity === 'string')
      return { ...NO_FAULT, sqlState: code, message: next.message };
    if (code && /^E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND|AI_)/.test(code)) {
      return { ...NO_FAULT, kind: 'DatabaseNotReachable' };
    }
    if (CONNECTION_MESSAGES.test(next.message)) return { ...NO_FAULT, kind: 'ConnectionClosed' };
  }
  return null;
}

/** pg gives these no code. */
const CONNECTION_MESSAGES =
  /^(Connection terminated|timeout exceeded when trying to connect|timeout expired|Client has encountered)/;

function isErrorLike(value: unknown): value is { message: string; severity?: unknown; cause?: unknown } {
  return (
    typeof value === 'object' && value !== null && 'message' in value && typeof value.message === 'string'
  );
}

function safeCause(fault: Fault): Error {
  const parts = [fault.prisma, fault.kind, fault.sqlState, fault.constraint].filter((part) => part !== null);
  return new Error(`database fault: ${parts.join(' ')}`);
}
