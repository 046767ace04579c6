import { createHmac, hkdfSync } from 'node:crypto';
import { STATUS_CODES } from 'node:http';
import type { ErrorCode } from '@tarfleet/contracts';
import type { Database, Repositories } from '@tarfleet/db';
import { AppError } from '@tarfleet/kernel';
import type { FastifyRequest } from 'fastify';
import { Type } from 'typebox';
import type { Api } from '../api-type.ts';
import { actorOf } from './actor.ts';
import type { ErrorBody } from './error-body.ts';

const HEADER = 'idempotency-key';
/** Headers that belong to the answer itself. */
const KEPT = ['content-type', 'location', 'preference-applied'];

export const IdempotencyKey = Type.String({
  minLength: 1,
  maxLength: 255,
  pattern: '^[\\x21-\\x7e]+$',
  description:
    'visible ASCII characters, at most 255; the same key and body give the same answer for 24 hours',
});

export interface IdempotencyOptions {
  db: Pick<Database, 'idempotency'>;
  /** A key of its own is derived from it: bodies hold passwords, and a plain hash of one could be guessed. */
  secret: Uint8Array;
}

/**
 * Gives the request's key, where it has one, to the job that it starts, in the transaction that stores the job. Until
 * the real answer is kept, and for good when this process dies before that, a repeat is told which job it is.
 */
export async function keepForJob(
  tx: Pick<Repositories, 'idempotency'>,
  request: FastifyRequest,
  jobId: string,
): Promise<void> {
  if (!request.keyClaim) return;
  const { userId, key } = request.keyClaim;
  const location = `/api/jobs/${jobId}`;
  const { status, response } = conflict(
    'IDEMPOTENCY_KEY_IN_USE',
    `A request with this Idempotency-Key has started the job ${jobId}, and has not been answered yet: follow the job at ${location}.`,
    { job_id: jobId },
  );
  const headers = { 'content-type': 'application/json; charset=utf-8', location };
  await tx.idempotency.finish(userId, key, { status, response, headers });
}

/** Keeps the answers of routes whose config says `idempotent`, by user and Idempotency-Key. */
export function addIdempotency(app: Api, { db, secret }: IdempotencyOptions): void {
  const digestKey = Buffer.from(hkdfSync('sha256', secret, '', 'tarfleet:idempotency:v1', 32));
  app.decorateRequest('acceptedJob', null);
  app.decorateRequest('keyClaim', null);

  app.addHook('onRoute', (route) => {
    if (!route.config?.idempotent) return;
    const headers = Type.Object({ [HEADER]: Type.Optional(IdempotencyKey) });
    route.schema = { ...route.schema, headers };
  });

  app.addHook('preHandler', async (request, reply) => {
    const key = request.headers[HEADER];
    if (!request.routeOptions.config.idempotent || typeof key !== 'string') return;
    const { userId } = actorOf(request);
    const route = `${request.method} ${request.url}`;
    const digest = createHmac('sha256', digestKey).update(canonical(request.body)).digest('hex');
    const begun = await db.idempotency.begin(userId, key, route, digest);
    if ('fresh' in begun) {
      request.keyClaim = { userId, key };
    } else if ('replay' in begun) {
      const { status, headers, response } = begun.replay;
      reply.code(status).headers({ ...headers, 'idempotency-replayed': 'true' });
      return reply.send(response);
    } else if ('inUse' in begun) {
      throw new AppError(
        'IDEMPOTENCY_KEY_IN_USE',
        'A request with this Idempotency-Key is still being worked on; repeat it in a moment to get its answer.',
      );
    } else {
      throw new AppError(
        'IDEMPOTENCY_KEY_REUSED',
        'This Idempotency-Key came with another request before; use a new key for a new request.',
      );
    }
  });

  app.addHook('onSend', async (request, reply, payload) => {
    const claim = request.keyClaim;
    if (!claim) return;
    request.keyClaim = null;
    const { userId, key } = claim;
    const lasts = request.acceptedJob !== null || lasting(reply.statusCode);
    if (typeof payload !== 'string' || !lasts) {
      await db.idempotency.abandon(userId, key);
      return;
    }
    const secretInside = request.routeOptions.config.idempotent === 'secret' && reply.statusCode < 300;
    const answer = secretInside ? madeBefore() : { status: reply.statusCode, response: payload };
    const headers = Object.fromEntries(
      KEPT.flatMap((name) => {
        const value = reply.getHeader(name);
        return typeof value === 'string' ? [[name, value]] : [];
      }),
    );
    await db.idempotency.finish(userId, key, { ...answer, headers }).catch((error: unknown) => {
      // The work is done: its answer must go out. Until the key lapses a repeat is told to wait.
      request.log.error({ err: error }, 'answer not kept for its idempotency key');
    });
  });
}

/**
 * What the work came to, as against what kept it from being done: a fault of the request itself, of its rights or
 * of ours says nothing about the next try. Once a job was accepted, any answer is what the work came to.
 */
function lasting(status: number): boolean {
  return status < 300 || status === 404 || status === 409 || status === 422;
}

/** Instead of an answer that is shown once. */
function madeBefore(): { status: number; response: string } {
  return conflict(
    'CONFLICT',
    'A request with this Idempotency-Key has made it already, and its secret is shown only once. If that answer was lost, delete what was made and make another with a new key.',
  );
}

function conflict(code: ErrorCode, message: string, details?: object): { status: number; response: string } {
  const body: ErrorBody = {
    success: false,
    code,
    error: STATUS_CODES[409] ?? 'Conflict',
    message,
    ...(details ? { details } : {}),
  };
  return { status: 409, response: JSON.stringify(body) };
}

/** The same text for the same fields in any order. The body parser has bounded the depth. */
function canonical(value: unknown): string {
  return JSON.stringify(value ?? null, (_name, part: unknown) =>
    typeof part === 'object' && part !== null && !Array.isArray(part)
      ? Object.fromEntries(Object.entries(part).sort(([a], [b]) => (a < b ? -1 : 1)))
      : part,
  );
}
