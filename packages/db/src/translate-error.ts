import { AppError, errnoOf } from '@tarfleet/kernel';
import { Prisma } from './generated/client.ts';

/** What a broken unique index means to whoever sent the request. */
const CONFLICTS: Record<string, string> = {
  projects_name_key: 'A project with this name exists already; choose another name.',
  users_email_key: 'A user with this e-mail address exists already.',
  project_members_pkey: 'This user is a member of the project already.',
  servers_project_id_name_key: 'The project has a server with this name already; choose another name.',
  services_server_id_name_key: 'The server has a service with this name already; choose another name.',
  destinations_name_key: 'A destination with this name exists already; choose another name.',
  destinations_default_key: 'Another destination became the default one meanwhile; try again.',
  service_leases_pkey: 'Another job works on one of these services; wait until it has ended.',
};

/** Prisma's codes for a database that cannot be reached, is full of connections, or was too slow to answer. */
const UNAVAILABLE = new Set(['P1001', 'P1002', 'P1008', 'P1017', 'P2024', 'P2028', 'P2037']);
/** Two transactions were in each other's way; one was undone. */
const WRITE_CONFLICT = 'P2034';

/** SQLSTATE classes and codes of a server that goes, comes, or has no room: worth another try. */
const UNAVAILABLE_STATES = /^(08...|57P0[1-5]|53300|55P03|57014|25006)$/;

/**
 * The one place where Prisma's and pg's errors become AppErrors: CONFLICT for a broken unique index or
 * reference, UNAVAILABLE (retryable) for trouble with the connection. Anything else is returned as it is: a
 * fault of the program, which the caller reports as INTERNAL.
 */
export function translateError(error: unknown): unknown {
  if (error instanceof AppError) return error;
  if (error instanceof Prisma.PrismaClientKnownRequestError) {
    if (error.code === 'P2002') return conflict(error);
    if (error.code === 'P2003' || error.code === 'P2014') {
      return new AppError(
        'CONFLICT',
        'Something that this refers to is gone, or something else still refers to it.',
        {
          cause: error,
        },
      );
    }
    if (UNAVAILABLE.has(error.code) || error.code === WRITE_CONFLICT) return unavailable(error);
  }
  if (error instanceof Prisma.PrismaClientInitializationError || isConnectionTrouble(error)) {
    return unavailable(error);
  }
  return error;
}

/** True when a transaction was undone because of another and may simply be run again. */
export function isWriteConflict(error: unknown): boolean {
  const cause = error instanceof AppError ? error.cause : error;
  return cause instanceof Prisma.PrismaClientKnownRequestError && cause.code === WRITE_CONFLICT;
}

function conflict(error: Prisma.PrismaClientKnownRequestError): AppError {
  const text = JSON.stringify(error.meta ?? {}) + error.message;
  const index = Object.keys(CONFLICTS).find((name) => text.includes(name));
  const message = (index && CONFLICTS[index]) ?? 'The same thing exists already.';
  return new AppError('CONFLICT', message, { cause: error });
}

function unavailable(cause: unknown): AppError {
  return new AppError('UNAVAILABLE', 'The database does not answer; try again in a moment.', {
    retryable: true,
    cause,
  });
}

function isConnectionTrouble(error: unknown): boolean {
  for (let fault = error, depth = 0; fault instanceof Error && depth < 5; fault = fault.cause, depth += 1) {
    const code = errnoOf(fault);
    if (
      code &&
      (/^E(CONN|PIPE|HOST|NET|TIMEDOUT|NOTFOUND|AI_)/.test(code) || UNAVAILABLE_STATES.test(code))
    ) {
      return true;
    }
    if (
      /^(Connection terminated|timeout exceeded when trying to connect|Client has encountered)/.test(
        fault.message,
      )
    ) {
      return true;
    }
  }
  return false;
}
