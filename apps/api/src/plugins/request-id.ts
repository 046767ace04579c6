import { randomUUID } from 'node:crypto';
import type { IncomingMessage } from 'node:http';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Api } from '../api-type.ts';

/** What a caller may bring as its own id: it ends up in logs, plans and headers. */
const SANE = /^[A-Za-z0-9][A-Za-z0-9._:-]{7,127}$/;

/** The caller's `x-request-id` where it is a plain one, a new UUID otherwise. */
export function requestIdOf(request: IncomingMessage): string {
  const given = request.headers['x-request-id'];
  return typeof given === 'string' && SANE.test(given) ? given : randomUUID();
}

/** Every answer names its request, and no browser guesses at what the answer is. */
export function addHeaders(app: Api): void {
  app.addHook('onRequest', async (request, reply) => setHeaders(request, reply));
}

export function setHeaders(request: FastifyRequest, reply: FastifyReply): void {
  reply.headers({
    'x-request-id': request.id,
    'x-content-type-options': 'nosniff',
    'x-frame-options': 'DENY',
    'referrer-policy': 'no-referrer',
    'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
    'cross-origin-resource-policy': 'same-origin',
    'cache-control': 'no-store',
  });
  if (request.protocol === 'https') reply.header('strict-transport-security', 'max-age=31536000');
}
