import { STATUS_CODES } from 'node:http';
import type { Socket } from 'node:net';
import type { ErrorCode } from '@tarfleet/contracts';
import { AppError, errnoOf } from '@tarfleet/kernel';
import type { ErrorObject } from 'ajv';
import type { FastifyError, FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../api-type.ts';
import type { ErrorBody } from './error-body.ts';
import { type Fault, invalid, toFaults } from './faults.ts';
import { setHeaders } from './request-id.ts';
import { STATUSES } from './statuses.ts';

const PARTS = [
  ['params', 'params'],
  ['querystring', 'query'],
  ['headers', 'headers'],
  ['body', 'body'],
] as const;

/** Faults that are this process's own or its database's, also while a job is waited for. */
const OURS: ReadonlySet<ErrorCode> = new Set(['INTERNAL', 'UNAVAILABLE']);

/** Every failure leaves in one shape; what is our own fault is logged in full and told in one sentence. */
export function addErrors(app: Api): void {
  app.setErrorHandler((thrown: FastifyError | AppError, request, reply) => {
    const error = toAppError(thrown, request);
    const { status, retryAfter } = STATUSES[error.code];
    const jobId = request.acceptedJob;
    if (jobId !== null) reply.header('location', `/api/jobs/${jobId}`);
    if (jobId !== null && !OURS.has(error.code)) {
      request.log.info({ code: error.code, jobId }, 'job failed while it was waited for');
    } else if (status >= 500) request.log.error({ err: thrown, code: error.code }, 'request failed');
    else request.log.debug({ code: error.code }, 'request refused');
    if (status === 401) reply.header('www-authenticate', 'Bearer realm="tarfleet"');
    if (retryAfter !== undefined && !reply.hasHeader('retry-after')) reply.header('retry-after', retryAfter);
    return reply
      .code(status)
      .type('application/json; charset=utf-8')
      .send(errorBody(error, request.id, jobId));
  });
  app.setNotFoundHandler((request) => {
    throw new AppError(
      'NOT_FOUND',
      `There is no ${request.method} ${request.url.split('?')[0]}; /openapi.json lists every route.`,
    );
  });
}

/** Paths that the router itself refuses; no hook has run for them. */
export function onRouterError(thrown: FastifyError, request: FastifyRequest, reply: FastifyReply): void {
  setHeaders(request, reply);
  const error =
    thrown.code === 'FST_ERR_BAD_URL'
      ? invalid([{ path: 'url', message: 'is not a well-formed path: check its % signs' }])
      : new AppError('NOT_FOUND', 'There is nothing under this path.');
  const { status } = STATUSES[error.code];
  reply
    .code(status)
    .type('application/json; charset=utf-8')
    .send(JSON.stringify(errorBody(error, request.id)));
}

/** What is not HTTP at all: no request exists yet, so the answer is written by hand. */
export function onClientError(error: NodeJS.ErrnoException, socket: Socket): void {
  if (errnoOf(error) === 'ECONNRESET' || !socket.writable) {
    socket.destroy();
    return;
  }
  const tooSlow = error.code === 'ERR_HTTP_REQUEST_TIMEOUT';
  const tooLarge = error.code === 'HPE_HEADER_OVERFLOW';
  const status = tooSlow ? 408 : tooLarge ? 431 : 400;
  const reason = STATUS_CODES[status] ?? 'Bad Request';
  const body: ErrorBody = {
    success: false,
    code: 'VALIDATION_FAILED',
    error: reason,
    message: tooSlow
      ? 'The request did not arrive in time.'
      : tooLarge
        ? 'The headers are too large.'
        : 'This is not an HTTP request that can be read.',
  };
  const text = JSON.stringify(body);
  socket.end(
    `HTTP/1.1 ${status} ${reason}\r\nx-request-id: ${crypto.randomUUID()}\r\ncontent-type: application/json; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\nconnection: close\r\n\r\n${text}`,
  );
}

/** What the client reads. An error after a job was accepted names the job, also where it says no more than that. */
export function errorBody(error: AppError, requestId: string, jobId: string | null = null): ErrorBody {
  const { status, hidden } = STATUSES[error.code];
  const tell = `tell the administrator the request id ${requestId}`;
  const message = !hidden
    ? error.message
    : jobId === null
      ? `Something went wrong on our side. Try again; if it stays, ${tell}.`
      : `Something went wrong on our side after the job ${jobId} was started. See what became of it; if it failed, ${tell}.`;
  const shown = hidden ? undefined : error.details;
  const details = jobId === null ? shown : { ...(shown as object | undefined), job_id: jobId };
  return {
    success: false,
    code: hidden ? 'INTERNAL' : error.code,
    error: STATUS_CODES[status] ?? 'Error',
    message,
    ...(details === undefined ? {} : { details }),
  };
}

function toAppError(thrown: FastifyError | AppError, request: FastifyRequest): AppError {
  if (thrown instanceof AppError) return thrown;
  if (thrown.validation) return invalid(everyFault(request));
  const known = FRAMEWORK[thrown.code];
  if (known) return new AppError(known[0], known[1]);
  if (typeof thrown.statusCode === 'number' && thrown.statusCode >= 400 && thrown.statusCode < 500) {
    return new AppError('VALIDATION_FAILED', 'The request cannot be read.', { cause: thrown });
  }
  return new AppError('INTERNAL', 'An unexpected fault.', { cause: thrown });
}

/** Fastify stops at the first part that is wrong; whoever corrects a request wants to hear of all of them. */
function everyFault(request: FastifyRequest): Fault[] {
  return PARTS.flatMap(([part, name]) => {
    const check = request.getValidationFunction(part) as Check | undefined;
    const value = name === 'query' ? request.query : request[name];
    if (!check || check(value ?? null)) return [];
    return toFaults(name, check.errors ?? []);
  });
}

interface Check {
  (value: unknown): boolean;
  errors?: ErrorObject[] | null;
}

/** Fastify's own refusals, in our words. */
const FRAMEWORK: Record<string, [ErrorCode, string]> = {
  FST_ERR_CTP_BODY_TOO_LARGE: ['BODY_TOO_LARGE', 'The body is larger than this server accepts.'],
  FST_ERR_CTP_INVALID_MEDIA_TYPE: [
    'UNSUPPORTED_MEDIA_TYPE',
    'Send the body as JSON, with the header Content-Type: application/json.',
  ],
  FST_ERR_CTP_INVALID_CONTENT_LENGTH: [
    'MALFORMED_BODY',
    'The body is shorter or longer than its Content-Length says.',
  ],
};
